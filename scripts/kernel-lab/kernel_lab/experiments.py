"""What is done to a guest, step by step.

The names and the random choices are those of the recordings that ship with fragsim: the same experiment with the same
seed gives every kernel the same operations.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .recorder import Recorder

#: Instructions of runqslower's three programs, as far as their images go.
TOOL_PROGRAMS = (280, 420, 350)
#: Instructions of a program whose image (1.7 MB) takes most of a pack.
BIG_PROGRAM = 400_000
#: Milliseconds that an unload of one program waits for the free.
UNLOAD_WAIT = 40
MODULES = ("dummy", "veth", "loop", "sch_fq", "fuse")


@dataclass
class Options:
    """What can be chosen about an experiment."""

    #: Words that change it, joined by `-`.
    variant: str = ""
    seed: int = 1
    #: Share of memory that is filled, in percent; each experiment has a default.
    fill: int | None = None

    def has(self, word: str) -> bool:
        """Whether the variant contains a word."""
        return word in self.variant.split("-")

    def count(self, letter: str, default: int) -> int:
        """The number behind a letter in the variant: `n3000`."""
        found = re.search(rf"\b{letter}(\d+)", self.variant)
        return int(found.group(1)) if found else default


def log_uniform(choices: random.Random, low: int, high: int) -> int:
    """A number whose logarithm is uniform."""
    return int(round(math.exp(choices.uniform(math.log(low), math.log(high)))))


def unload_all(lab: Recorder, wait: int = 1000, settle: int = 1000) -> None:
    """Unloads every program, then waits until the last one is freed."""
    lab.step(f"unloadall {wait}", mark="unloaded")
    lab.step(f"sync {settle}", mark="settled")


def boot_only(lab: Recorder, _: Options) -> None:
    """E1: only the boot."""
    lab.step("sync 300")
    lab.step("sleep 2000")
    lab.step("sample")


def _tool_round(lab: Recorder, number: int, first: int, unload: bool) -> int:
    """One start of runqslower: four probes that go at once, then three programs; the next free number."""
    program = first
    for _ in range(4):
        lab.step(f"load {program} 2 s", round=number)
        lab.step(f"unload {program} {UNLOAD_WAIT}", round=number)
        program += 1
    kept = []
    for instructions in TOOL_PROGRAMS:
        lab.step(f"load {program} {instructions} k", round=number)
        kept.append(program)
        program += 1
    if unload:
        for loaded in kept:
            lab.step(f"unload {loaded} {UNLOAD_WAIT}", round=number)
    return program


def tool_rounds(lab: Recorder, options: Options) -> None:
    """E2: runqslower's pattern 100 times (variant rN: N times); variant keep keeps its programs, unload does not."""
    program = 1
    for number in range(options.count("r", 100)):
        program = _tool_round(lab, number, program, options.has("unload"))
        if number + 1 in (1, 10, 100):
            lab.step("sync 200", round=number, mark=number + 1)
    lab.step("unloadall 500")
    lab.step("sync 1000")


def mixed_programs(lab: Recorder, options: Options) -> None:
    """E3: 500 programs (variant nN: N) of 10 to 4000 instructions, then all unloaded."""
    choices = random.Random(options.seed)
    for program in range(1, options.count("n", 500) + 1):
        lab.step(f"load {program} {log_uniform(choices, 10, 4000)} s")
        if program % 10 == 0:
            lab.step("sample", walk=False, loaded=program)
    lab.step("sync 200", mark="loaded")
    unload_all(lab, settle=2000)


def churn(lab: Recorder, options: Options) -> None:
    """E4: 200 programs, then 2000 random loads and unloads while other memory comes and goes."""
    choices = random.Random(options.seed)
    alive: list[int] = []
    program = 0
    for _ in range(200):
        program += 1
        lab.step(f"load {program} {log_uniform(choices, 10, 4000)} s")
        alive.append(program)
    lab.step("sync 100", mark="ramp")
    for event in range(1, options.count("n", 2000) + 1):
        if choices.random() < 0.5 + (200 - len(alive)) / 400:
            program += 1
            lab.step(f"load {program} {log_uniform(choices, 10, 4000)} s")
            alive.append(program)
        else:
            lab.step(f"unload {alive.pop(choices.randrange(len(alive)))} {UNLOAD_WAIT}")
        if event % 20 == 0:
            _other_memory(lab, choices, event // 20)
            lab.step("sync 60", ev=event, live=len(alive))
    unload_all(lab)


def _other_memory(lab: Recorder, choices: random.Random, number: int) -> None:
    lab.step(f"tmpfile f{number % 8} {choices.randrange(256, 8192)}", walk=False)
    lab.step("anon 1 24", walk=False)
    lab.step(f"punch 1 500 {number}", walk=False)
    lab.step(f"tmpfile g{number % 5} {choices.randrange(64, 2048)}", walk=False)
    lab.step("free 1", walk=False)


def tiny_programs(lab: Recorder, options: Options) -> None:
    """E5: 1000 programs (variant nN: N) of two instructions."""
    for program in range(1, options.count("n", 1000) + 1):
        lab.step(f"load {program} 2 s")
    lab.step("sync 200", mark="loaded")
    unload_all(lab)


def long_programs(lab: Recorder, _: Options) -> None:
    """E6: programs of 4000 to a million instructions, images of 17 kB to 4.25 MB."""
    lengths = (4000, 16_000, 40_000, 100_000, BIG_PROGRAM, 600_000, 999_999)
    for program, instructions in enumerate(lengths, 1):
        lab.step(f"load {program} {instructions} s")
        lab.step("sync 50")
    for program in range(1, len(lengths) + 1):
        lab.step(f"unload {program} 200")
    lab.step("sync 1000", mark="settled")
    for program, instructions in enumerate((BIG_PROGRAM, 999_999), len(lengths) + 1):
        lab.step(f"load {program} {instructions} s")
    unload_all(lab)


def _fill_movable(lab: Recorder, options: Options) -> None:
    """Fills memory half with anonymous pages, half with files of many sizes, then frees half of both at random."""
    percent = 80 if options.fill is None else options.fill
    free_mib = lab.greeting["MemFree"] >> 10
    total = min(lab.guest.machine.ram_mib, free_mib) * percent // 100
    lab.step(f"anon 1 {total // 2}")
    choices = random.Random(options.seed + 7)
    left, files = total - total // 2, 0
    while left > 0:
        mib = min(left, choices.choice((1, 1, 2, 4, 8, 16)))
        lab.step(f"tmpfile t{files} {mib << 10}", walk=False)
        left -= mib
        files += 1
    lab.step("sample", mark="filled")
    lab.note("cat /proc/buddyinfo")
    lab.step("punch 1 500 77 1", walk=False)
    for file in range(files):
        if choices.random() < 0.5:
            lab.step(f"rm t{file}", walk=False)
    lab.step("sample", mark="punched")
    lab.note("cat /proc/buddyinfo")
    lab.note("cat /proc/pagetypeinfo")


def mixed_on_filled(lab: Recorder, options: Options) -> None:
    """E7: 80 % of memory (--fill) filled with movable pages and half of that freed at random, then E3."""
    _fill_movable(lab, options)
    mixed_programs(lab, options)


def real_tool(lab: Recorder, _: Options) -> None:
    """E8: the real runqslower, started and stopped five times (boot with --append audit=1: the kernel then logs every
    program)."""

    def state(at: str) -> None:
        lab.step("progs", at=at)
        lab.step("bpfsyms", at=at)

    lab.step("write /proc/sys/kernel/printk_ratelimit 0", walk=False)
    state("before")
    for run in range(5):
        lab.step("spawn /usr/sbin/runqslower 10000", run=run)
        known = 0
        for attempt in range(60):
            lab.step("sleep 500", run=run, at="starting")
            now = len(lab.guest.command("progs")["progs"])
            if now and now == known and attempt > known:
                break
            known = now
        lab.step("sleep 1500", run=run, at="running")
        state("running")
        lab.step("stop 2", run=run)
        lab.step("sync 1500", run=run, at="stopped")
        state("stopped")
    lab.step("cat /tmp/spawn.log", walk=False)
    lab.step("rm spawn.log", walk=False)
    lab.step("spawn /bin/busybox dmesg", walk=False)
    lab.step("stop 18", walk=False)
    lab.step("cat /tmp/spawn.log", walk=False, what="dmesg")


def tool_rounds_on_filled(lab: Recorder, options: Options) -> None:
    """E9: E2 on a machine filled as in E7, with other memory coming and going between the rounds."""
    _fill_movable(lab, options)
    program = 1
    for number in range(options.count("r", 100)):
        program = _tool_round(lab, number, program, options.has("unload"))
        lab.step(f"tmpfile c{number % 7} {512 + 977 * number % 6000}", walk=False)
        lab.step("anon 2 32", walk=False)
        lab.step(f"punch 2 500 {number} 1", walk=False)
        lab.step(f"tmpfile d{number % 5} {64 + 331 * number % 2000}", walk=False)
        lab.step("free 2", walk=False)
        lab.step("sample", round=number)
    unload_all(lab, wait=500)


def traced_tool(lab: Recorder, _: Options) -> None:
    """E10: the real runqslower three times, held after every load and every close of a program."""
    for run in range(3):
        lab.guest.send("tspawn 4000 /usr/sbin/runqslower 10000")
        while lab.traced_step(run=run)["op"] != "tspawn":
            lab.guest.send("go")
        lab.step("sync 1000", run=run)
    lab.step("cat /tmp/spawn.log", walk=False)


def mixed_on_scattered(lab: Recorder, options: Options) -> None:
    """E11: 40 % of memory (--fill) in page tables, which cannot be moved; half of them (with --fill a quarter) freed, in
    the order of their addresses or at random (variant shuffle); variant nohuge: movable pages then take all blocks that
    are still whole; then E3."""
    lab.step("write /proc/sys/vm/max_map_count 4000000", walk=False)
    percent, freed = (40, 500) if options.fill is None else (options.fill, 250)
    tables = (lab.guest.machine.ram_mib << 20) * percent // 100 >> 12
    filled = lab.step(f"ptes 3 {tables}", mark="filled")
    lab.note("cat /proc/pagetypeinfo")
    lab.step(f"ptepunch 3 {freed} {options.seed} {int(options.has('shuffle'))}", mark="punched")
    lab.note("cat /proc/pagetypeinfo")
    if options.has("nohuge"):
        lab.step(f"anon 4 {(filled['MemFree'] >> 10) - 12}", mark="anon")
        lab.note("cat /proc/pagetypeinfo")
    mixed_programs(lab, options)


def modules(lab: Recorder, options: Options) -> None:
    """E12: kernel modules loaded and unloaded, three rounds, with 40 programs in the second one (variant big: and two
    long ones); needs an initramfs with /mods/*.ko."""
    for number in range(3):
        for module in MODULES:
            lab.step(f"insmod /mods/{module}.ko", round=number)
        if number == 1:
            for program in range(1, 41):
                lab.step(f"load {program} 1000 s", round=number)
            for program in (50, 51) if options.has("big") else ():
                lab.step(f"load {program} {BIG_PROGRAM} s", round=number)
        lab.step("sample", round=number)
        lab.note("cat /proc/modules")
        for module in MODULES:
            lab.step(f"rmmod {module}", round=number)
        lab.step("sync 500", round=number)
    lab.step("unloadall 500")
    lab.step("sync 1000")


def pack_churn(lab: Recorder, options: Options) -> None:
    """P1: a big program stays, a second one is loaded and unloaded 15 times, then five at once three times (variant rev:
    freed last first). Every cycle makes a pack and frees it."""
    lab.step(f"load 1 {BIG_PROGRAM} s", mark="ballast")
    lab.step("sync 200")
    for cycle in range(15):
        lab.step(f"load 2 {BIG_PROGRAM} s", cycle=cycle)
        lab.step("unload 2 300", cycle=cycle)
    lab.step("sync 500", mark="single cycles done")
    for group in range(3):
        programs: Sequence[int] = range(3, 8)
        for program in programs:
            lab.step(f"load {program} {BIG_PROGRAM} s", group=group)
        lab.step("sync 100", mark=f"group {group} loaded")
        for program in reversed(programs) if options.has("rev") else programs:
            lab.step(f"unload {program} 300", group=group)
        lab.step("sync 500", mark=f"group {group} freed")
    unload_all(lab)


def packs_without_blocks(lab: Recorder, options: Options) -> None:
    """P2: scattered page tables as in E11 (shuffle), movable pages take all blocks that are still whole, then 12 programs
    that need a pack each, unloaded one by one."""
    lab.step("write /proc/sys/vm/max_map_count 4000000", walk=False)
    tables = (lab.guest.machine.ram_mib << 20) * 40 // 100 >> 12
    filled = lab.step(f"ptes 3 {tables}", mark="filled")
    lab.step(f"ptepunch 3 500 {options.seed} 1", mark="punched")
    lab.step(f"anon 4 {(filled['MemFree'] >> 10) - 12}", mark="anon")
    lab.note("cat /proc/pagetypeinfo")
    for program in range(1, 13):
        lab.step(f"load {program} {BIG_PROGRAM} s")
        lab.note("cat /proc/buddyinfo")
    lab.step("sync 200", mark="loaded")
    for program in range(1, 13):
        lab.step(f"unload {program} 300")
    lab.step("sync 1000", mark="settled")


EXPERIMENTS: dict[str, Callable[[Recorder, Options], None]] = {
    "E1": boot_only,
    "E2": tool_rounds,
    "E3": mixed_programs,
    "E4": churn,
    "E5": tiny_programs,
    "E6": long_programs,
    "E7": mixed_on_filled,
    "E8": real_tool,
    "E9": tool_rounds_on_filled,
    "E10": traced_tool,
    "E11": mixed_on_scattered,
    "E12": modules,
    "P1": pack_churn,
    "P2": packs_without_blocks,
}
