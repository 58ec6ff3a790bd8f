"""Writes the log of a run: each command's answer, and what a walk of the page tables saw after it."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from pathlib import Path
from typing import IO, Any

from . import changes
from .guest import Guest
from .page_tables import ADDRESS, MODULE_BLOCKS, MODULES, PAGE, PAGES_PER_2M, PageTables

Record = dict[str, Any]

#: Read once before the first step and noted in the log.
_AT_BOOT = ("/proc/meminfo", "/proc/buddyinfo", "/proc/pagetypeinfo", "/proc/modules")
_AT_END = ("/proc/buddyinfo", "/proc/pagetypeinfo")


class Recorder:
    """A guest whose answers go into a log."""

    def __init__(self, guest: Guest, log: IO[str]) -> None:
        self.guest = guest
        #: The first record: what was booted.
        self.greeting: Record = {}
        #: The last step.
        self.last: Record = {}
        self.steps = 0
        self._log = log
        self._tables: PageTables | None = None
        self._direct_map: changes.DirectMap | None = None
        self._modules: changes.Modules = [None] * MODULE_BLOCKS

    def write(self, record: Record) -> None:
        """Writes a record."""
        self._log.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._log.flush()

    def begin(self, about: Record) -> None:
        """Waits for the guest and notes what it is before the first step; `about` tells of the run."""
        record = self.guest.greeting()
        self._tables = self.guest.page_tables()
        machine = self.guest.machine
        booted = round(time.monotonic() - self.guest.started, 1)
        record.update(step=0, boot_s=booted, ram_mib=machine.ram_mib, smp=machine.cpus)
        record.update(about)
        record.update(cmdline=machine.command_line, page_offset_base=hex(self._tables.base), walk=self._walk())
        self.write(record)
        self.greeting = record
        for path in _AT_BOOT:
            self.note(f"cat {path}")
        self.note("progs")
        self.note("bpfsyms")
        self._write_layout("boot")
        # What all this reading changed is nobody's step.
        self._walk()

    def end(self) -> None:
        """Notes what the guest is after the last step, and ends it."""
        for path in _AT_END:
            self.note(f"cat {path}")
        self._write_layout("end")
        self.guest.power_off()

    def note(self, command: str) -> Record:
        """Executes a command that is no step, and notes its answer."""
        answer = self.guest.command(command)
        self.write(answer)
        return answer

    def step(self, command: str, walk: bool = True, **labels: Any) -> Record:
        """Executes a command as a step; `labels` go into its record."""
        record = self.guest.command(command)
        self._number(record, labels)
        if walk:
            seen = self._walk()
            if record["op"] == "load":
                self._add_frames(record)
            record["walk"] = seen
        self.write(record)
        return record

    def traced_step(self, **labels: Any) -> Record:
        """Waits for the next line of a traced tool; always walks."""
        record = self.guest.receive()
        self._number(record, labels)
        seen = self._walk()
        self._add_frames(record)
        record["walk"] = seen
        self.write(record)
        return record

    def _number(self, record: Record, labels: Record) -> None:
        self.steps += 1
        record["step"] = self.steps
        record.update(labels)
        self.last = record

    def _walk(self) -> Record:
        """What changed since the last walk."""
        assert self._tables is not None, "a recording begins first"
        direct_map, modules = self._tables.direct_map(), self._tables.modules()
        seen: Record = {}
        if self._direct_map is not None:
            seen = changes.direct_map_changes(self._direct_map, direct_map)
            stretches = changes.module_changes(self._modules, modules)
            if stretches:
                seen["mod"] = stretches
        self._direct_map, self._modules = direct_map, modules
        seen["sum"] = changes.totals(direct_map)
        return seen

    def _add_frames(self, record: Record) -> None:
        """Adds the frames of the pages that hold a program's code."""
        if not record.get("ksym") or not record.get("jited_len"):
            return
        start = int(record["ksym"], 16)
        first = (start - MODULES) // PAGE
        last = (start + record["jited_len"] - 1 - MODULES) // PAGE
        if not 0 <= first <= last < MODULE_BLOCKS * PAGES_PER_2M:
            return
        record["pfns"] = changes.frame_runs(self._module_frame(page) for page in range(first, last + 1))

    def _module_frame(self, page: int) -> int:
        block = self._modules[page // PAGES_PER_2M]
        return (block[page % PAGES_PER_2M] & ADDRESS) // PAGE if block else 0

    def _write_layout(self, when: str) -> None:
        assert self._tables is not None, "a recording begins first"
        self.write({"op": "layout", "when": when, "ranges": changes.layout(self._tables.direct_map())})


def compress(log: Path) -> Path:
    """Replaces a log by its gzip form; the same log gives the same bytes."""
    packed = log.with_name(log.name + ".gz")
    with open(log, "rb") as plain, open(packed, "wb") as file:
        with gzip.GzipFile("", "wb", 9, file, mtime=0) as archive:
            shutil.copyfileobj(plain, archive)
    log.unlink()
    return packed
