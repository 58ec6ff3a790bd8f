"""What changed between two walks, in the words of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .page_tables import (
    ADDRESS,
    BLOCKS_PER_GIB,
    CODE_NO_EXEC,
    CODE_PERMS,
    CODE_PRESENT,
    CODE_WRITE,
    LARGE,
    LEVEL,
    LEVEL_1G,
    LEVEL_2M,
    LEVEL_4K,
    MODULES,
    NO_EXEC,
    PAGE,
    PAGES_PER_2M,
    WRITE,
    Block,
    ModuleBlock,
)

DirectMap = list[list[Block]]
Modules = list[ModuleBlock]

_SIZES = {0: "-", LEVEL_4K: "4K", LEVEL_2M: "2M", LEVEL_1G: "1G"}
_KB_PER_PAGE = PAGE // 1024
_NO_PAGES = (0,) * PAGES_PER_2M


def frame_runs(frames: Iterable[int]) -> list[list[int]]:
    """[5, 6, 7, 20, 19, 18] becomes [[5, 3], [20, -3]]: runs in the given order, a negative count runs downwards."""
    runs: list[list[int]] = []
    for frame in frames:
        last = runs[-1] if runs else None
        if last and last[1] > 0 and last[0] + last[1] == frame:
            last[1] += 1
        elif last and (last[1] < 0 or last[1] == 1) and last[0] - abs(last[1]) == frame:
            last[1] = -abs(last[1]) - 1
        else:
            runs.append([frame, 1])
    return runs


def perms(code: int) -> str:
    """`rw`, `ro`, with an `x` if executable; `np` not present; `none` not mapped."""
    if code & LEVEL == 0:
        return "none"
    if not code & CODE_PRESENT:
        return "np"
    return ("rw" if code & CODE_WRITE else "ro") + ("" if code & CODE_NO_EXEC else "x")


def module_perms(entry: int) -> str:
    """The same for a page of the module area; `-` if it is not mapped, `+2M` behind it if a large entry maps it."""
    if entry == 0:
        return "-"
    return ("rw" if entry & WRITE else "ro") + ("" if entry & NO_EXEC else "x") + ("+2M" if entry & LARGE else "")


def _codes(block: Block) -> bytes:
    return block if isinstance(block, bytes) else bytes((block,)) * PAGES_PER_2M


def _changed_blocks(old: DirectMap, new: DirectMap) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, old and new codes of every 2 MiB block that is not as it was."""
    for gib, (before, after) in enumerate(zip(old, new)):
        if before is after:
            continue
        for index, (was, now) in enumerate(zip(before, after)):
            if was != now:
                yield gib * BLOCKS_PER_GIB + index, _codes(was), _codes(now)


def direct_map_changes(old: DirectMap, new: DirectMap) -> dict[str, Any]:
    """Entries that split or merged, and pages whose permissions changed."""
    found: dict[str, list[int]] = {"split1g": [], "split2m": [], "coll2m": [], "coll1g": []}
    runs: list[list[Any]] = []

    def note(kind: str, number: int) -> None:
        if not found[kind] or found[kind][-1] != number:
            found[kind].append(number)

    for block, was, now in _changed_blocks(old, new):
        for page, (a, b) in enumerate(zip(was, now)):
            if a == b:
                continue
            before, after = a & LEVEL, b & LEVEL
            if before == LEVEL_1G and after < LEVEL_1G:
                note("split1g", block // BLOCKS_PER_GIB)
            if before >= LEVEL_2M and after == LEVEL_4K:
                note("split2m", block)
            if before == LEVEL_4K and after >= LEVEL_2M:
                note("coll2m", block)
            if before < LEVEL_1G and after == LEVEL_1G:
                note("coll1g", block // BLOCKS_PER_GIB)
            if (a ^ b) & CODE_PERMS and (before or after):
                _add_run(runs, block * PAGES_PER_2M + page, perms(a), perms(b))
    changes: dict[str, Any] = {kind: frame_runs(numbers) for kind, numbers in found.items() if numbers}
    if runs:
        changes["perm"] = runs
    return changes


def _add_run(runs: list[list[Any]], frame: int, was: str, now: str) -> None:
    if runs and runs[-1][0] + runs[-1][1] == frame and runs[-1][2:] == [was, now]:
        runs[-1][1] += 1
    else:
        runs.append([frame, 1, was, now])


def module_changes(old: Modules, new: Modules) -> list[dict[str, Any]]:
    """Stretches of the module area that are mapped otherwise than before."""
    stretches: list[tuple[tuple[str, str, bool], list[int], list[tuple[int, int]]]] = []
    for block, (before, after) in enumerate(zip(old, new)):
        if before is after or before == after:
            continue
        for page, (a, b) in enumerate(zip(before or _NO_PAGES, after or _NO_PAGES)):
            if a == b:
                continue
            index = block * PAGES_PER_2M + page
            same_frame = a != 0 and b != 0 and a & ADDRESS == b & ADDRESS
            kind = (module_perms(a), module_perms(b), same_frame)
            if not stretches or stretches[-1][0] != kind or stretches[-1][1][-1] + 1 != index:
                stretches.append((kind, [], []))
            stretches[-1][1].append(index)
            stretches[-1][2].append((a, b))
    return [_stretch(*stretch) for stretch in stretches]


def _stretch(kind: tuple[str, str, bool], pages: list[int], entries: list[tuple[int, int]]) -> dict[str, Any]:
    was, now, same_frame = kind
    told: dict[str, Any] = {"va": hex(MODULES + pages[0] * PAGE), "n": len(pages), "was": was, "now": now}
    if now == "-":
        told["gone"] = frame_runs((entry & ADDRESS) // PAGE for entry, _ in entries)
    elif not same_frame:
        told["pfns"] = frame_runs((entry & ADDRESS) // PAGE for _, entry in entries)
    return told


def totals(direct_map: DirectMap) -> dict[str, int]:
    """How much is mapped by entries of each size (kB, and a number of large ones), and pages that are read-only (small
    entries, in large entries) or not present."""
    pages = [0, 0, 0, 0]
    read_only = [0, 0, 0, 0]
    absent = 0
    for gib in direct_map:
        for block in gib:
            for code, count in _tally(block):
                level = code & LEVEL
                pages[level] += count
                if level and not code & CODE_PRESENT:
                    absent += count
                elif level and not code & CODE_WRITE:
                    read_only[level] += count
    return {
        "w4k": pages[LEVEL_4K] * _KB_PER_PAGE,
        "w2m": pages[LEVEL_2M] * _KB_PER_PAGE,
        "w1g": pages[LEVEL_1G] * _KB_PER_PAGE,
        "n2m": pages[LEVEL_2M] // PAGES_PER_2M,
        "n1g": pages[LEVEL_1G] // (PAGES_PER_2M * BLOCKS_PER_GIB),
        "ro4k": read_only[LEVEL_4K],
        "rol": read_only[LEVEL_2M] + read_only[LEVEL_1G],
        "np": absent,
    }


def _tally(block: Block) -> list[tuple[int, int]]:
    if isinstance(block, int):
        return [(block, PAGES_PER_2M)]
    return [(code, block.count(code)) for code in set(block)]


def layout(direct_map: DirectMap) -> list[list[Any]]:
    """All of the direct map as [first frame, frames, size, permissions]."""
    runs: list[list[int]] = []
    for number, block in enumerate(block for gib in direct_map for block in gib):
        first = number * PAGES_PER_2M
        if isinstance(block, int):
            _extend(runs, first, PAGES_PER_2M, block)
        else:
            for page, code in enumerate(block):
                _extend(runs, first + page, 1, code)
    return [[first, count, _SIZES[code & LEVEL], perms(code)] for first, count, code in runs]


def _extend(runs: list[list[int]], first: int, count: int, code: int) -> None:
    if runs and runs[-1][2] == code:
        runs[-1][1] += count
    else:
        runs.append([first, count, code])
