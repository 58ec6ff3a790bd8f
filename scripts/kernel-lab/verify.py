#!/usr/bin/env python3
"""Cross-checks logs: two independent sources must tell the same story.

Between two walks the kernel's DirectMap counters must move exactly as the walked page tables do, and where the kernel
counts splits (direct_map_level2_splits, direct_map_level3_splits) its counts must be those that the walks saw.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Offsets = tuple[int, int, int]


@dataclass
class Findings:
    """What one log says."""

    steps: int = 0
    #: Steps at which counters and page tables moved apart.
    apart: list[int] = field(default_factory=list)
    #: Counter minus walk in kB, for entries of 4 KiB, 2 MiB and 1 GiB: the same in every step of a good log.
    offsets: Offsets | None = None
    #: Splits of 2 MiB entries: while a program was loaded, while one was unloaded, and the rest.
    at_load: int = 0
    at_unload: int = 0
    at_other: int = 0
    splits_1g: int = 0
    #: The kernel's own counts, of 2 MiB and 1 GiB entries; none before 5.13.
    counted: tuple[int, int] | None = None
    aborted: str = ""

    @property
    def splits_2m(self) -> int:
        """All splits of 2 MiB entries that the walks saw."""
        return self.at_load + self.at_unload + self.at_other

    def problems(self) -> list[str]:
        """What is wrong with the log."""
        found = []
        if self.aborted:
            found.append(f"broken off: {self.aborted}")
        if self.offsets is None:
            found.append("no walk in it")
        if self.apart:
            found.append(f"counters and page tables moved apart at steps {self.apart[:5]}")
        if self.counted is not None and self.counted != (self.splits_2m, self.splits_1g):
            found.append(f"the kernel counted {self.counted} splits, the walks saw {(self.splits_2m, self.splits_1g)}")
        return found


def records(path: Path) -> Iterator[Record]:
    """The records of a log, plain or gzip."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="ascii") as lines:
        for line in lines:
            yield json.loads(line)


def frames(runs: list[list[int]]) -> int:
    """How many frames a list of runs has."""
    return sum(abs(run[1]) for run in runs)


def examine(path: Path) -> Findings:
    """Reads a log."""
    findings = Findings()
    first: Record | None = None
    for record in records(path):
        if record["op"] == "aborted":
            findings.aborted = record["why"]
        walk = record.get("walk")
        if walk is None:
            continue
        first = first or record
        total = walk["sum"]
        offsets = (
            record["DirectMap4k"] - total["w4k"],
            record["DirectMap2M"] - total["w2m"],
            record["DirectMap1G"] - total["w1g"],
        )
        if findings.offsets is None:
            findings.offsets = offsets
        elif offsets != findings.offsets:
            findings.apart.append(record.get("step", 0))
        findings.steps += 1
        count_splits(findings, record)
        if "direct_map_level2_splits" in record:
            findings.counted = (
                record["direct_map_level2_splits"] - first["direct_map_level2_splits"],
                record["direct_map_level3_splits"] - first["direct_map_level3_splits"],
            )
    return findings


def count_splits(findings: Findings, record: Record) -> None:
    """Adds the splits that a walk saw."""
    count = frames(record["walk"].get("split2m", []))
    findings.splits_1g += frames(record["walk"].get("split1g", []))
    if record["op"] in ("load", "tload"):
        findings.at_load += count
    elif record["op"] in ("unload", "unloadall", "tclose") or record.get("mark") == "settled":
        findings.at_unload += count
    else:
        findings.at_other += count


def logs(paths: list[Path]) -> Iterator[Path]:
    """The logs among files and folders."""
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*.jsonl*"))
        else:
            yield path


def main() -> int:
    """Examines logs; 0 if all are consistent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=Path, help="logs (.jsonl, .jsonl.gz), or folders of them")
    wrong = 0
    print(f"{'log':<48} {'walks':>6} {'2M splits: load':>15} {'unload':>6} {'other':>5} {'1G':>3}")
    for path in logs(parser.parse_args().logs):
        findings = examine(path)
        name = "/".join(path.parts[-2:])
        counts = f"{findings.at_load:>15} {findings.at_unload:>6} {findings.at_other:>5} {findings.splits_1g:>3}"
        print(f"{name:<48} {findings.steps:>6} {counts}")
        for problem in findings.problems():
            wrong += 1
            print(f"  {problem}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
