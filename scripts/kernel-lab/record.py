#!/usr/bin/env python3
"""Records what one kernel does to its direct map in one experiment; see README.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from kernel_lab.experiments import EXPERIMENTS, Options
from kernel_lab.guest import Guest, GuestFailed, Machine, TooSlow
from kernel_lab.initramfs import BuildFailed, build_init, pack
from kernel_lab.page_tables import BadAddress
from kernel_lab.recorder import Recorder, compress

WORK = Path(os.environ.get("KERNEL_LAB") or Path(__file__).resolve().parent.parent.parent / "target" / "kernel-lab")


def arguments() -> argparse.Namespace:
    """The command line."""
    experiments = "\n".join(f"  {function.__doc__}" for function in EXPERIMENTS.values())
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"experiments:\n{experiments}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kernel", help="a folder below WORK/kernels with a vmlinuz in it, such as 6.1.192")
    parser.add_argument("experiment", choices=EXPERIMENTS, metavar="experiment", help="see below")
    parser.add_argument(
        "--variant", default="", metavar="WORDS", help="change the experiment, for example keep or n3000"
    )
    parser.add_argument("--ram", type=int, default=4096, metavar="MIB", help="memory of the guest (default: 4096)")
    parser.add_argument("--smp", type=int, default=1, metavar="CPUS", help="processors of the guest (default: 1)")
    parser.add_argument("--kaslr", action="store_true", help="randomize addresses")
    parser.add_argument("--seed", type=int, default=1, help="where random choices start (default: 1)")
    parser.add_argument("--fill", type=int, metavar="PERCENT", help="share of memory that E7, E9 and E11 fill")
    parser.add_argument("--append", default="", metavar="WORDS", help="more words for the kernel's command line")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="more files for the guest: tools, /mods/*.ko")
    parser.add_argument("--tag", default="", help="a word at the end of the file's name")
    parser.add_argument("--limit", type=int, default=900, metavar="SECONDS", help="give up then (default: 900)")
    parser.add_argument(
        "--work", type=Path, default=WORK, metavar="FOLDER", help="kernels and results (default: %(default)s)"
    )
    return parser.parse_args()


def name_of(options: argparse.Namespace) -> str:
    """The name of a recording: what is unusual about it stands in it."""
    parts = [options.experiment, options.variant, f"{options.ram}M"]
    parts += [f"smp{options.smp}" if options.smp > 1 else "", "kaslr" if options.kaslr else "", options.tag]
    return "-".join(part for part in parts if part)


def initramfs(work: Path, root: Path | None) -> Path:
    """A root file system for this run."""
    init, archive = work / "init", work / "initramfs.cpio"
    build_init(init)
    pack(init, archive, root)
    return archive


def record(options: argparse.Namespace, log: Path) -> Recorder:
    """Boots the kernel and does the experiment."""
    machine = Machine(
        kernel=options.work / "kernels" / options.kernel / "vmlinuz",
        initramfs=initramfs(options.work, options.root),
        ram_mib=options.ram,
        cpus=options.smp,
        kaslr=options.kaslr,
        append=options.append,
        limit=options.limit,
    )
    about = {"kernel": options.kernel, "exp": options.experiment, "variant": options.variant}
    with open(log, "w", encoding="ascii") as file, Guest(machine, options.work) as guest:
        recorder = Recorder(guest, file)
        try:
            recorder.begin(about)
            EXPERIMENTS[options.experiment](recorder, Options(options.variant, options.seed, options.fill))
            recorder.end()
        except BaseException as error:
            # What was recorded so far is kept, and says that it is not whole.
            recorder.write({"op": "aborted", "why": repr(error)})
            raise
    return recorder


def main() -> int:
    """Records; 0 done, 1 failed, 2 bad usage, 3 out of time."""
    options = arguments()
    # So that `timeout` and the like leave no guest behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    vmlinuz = options.work / "kernels" / options.kernel / "vmlinuz"
    if not vmlinuz.is_file():
        print(f"there is no kernel {vmlinuz}; README.md says how to get one", file=sys.stderr)
        return 2
    folder = options.work / "results" / options.kernel
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name_of(options)}.jsonl"
    started = time.monotonic()
    try:
        recorder = record(options, log)
    except (BuildFailed, GuestFailed, BadAddress, OSError) as error:
        print(f"{log.name}: {error}", file=sys.stderr)
        return 3 if isinstance(error, TooSlow) else 1
    finally:
        packed = compress(log) if log.exists() else log
    last = recorder.last
    splits = f"level-2 splits {last.get('direct_map_level2_splits', '-')}"
    print(f"{packed}: {recorder.steps} steps, {splits}, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
