#!/usr/bin/env python3
"""Tests of what needs no emulator: page tables made by hand, changes between two walks, the initramfs."""

from __future__ import annotations

import struct
import tempfile
import unittest
from pathlib import Path

from kernel_lab import changes, initramfs
from kernel_lab.page_tables import (
    DIRECT_MAP,
    LARGE,
    MODULES,
    NO_EXEC,
    PAGE,
    PRESENT,
    WRITE,
    BadAddress,
    Ram,
    find_page_tables,
)

KERNEL_RW = PRESENT | WRITE | NO_EXEC
KERNEL_RO = PRESENT | NO_EXEC
MIB = 1 << 20

# Physical addresses of the pages of page tables, from the top down; the last two hold 4 KiB entries.
TOP, DIRECT_1G, DIRECT_2M, MODULES_1G, MODULES_2M, SMALL, MODULE_PAGES = (0x10000 + PAGE * n for n in range(7))


class Guest:
    """8 MiB of RAM with page tables: the first 2 MiB of the direct map by small entries, then three large ones."""

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "ram"
        self.path.write_bytes(bytes(8 * MIB))
        self.set(TOP, DIRECT_MAP >> 39 & 511, DIRECT_1G | PRESENT)
        self.set(TOP, 511, MODULES_1G | PRESENT)
        self.set(DIRECT_1G, DIRECT_MAP >> 30 & 511, DIRECT_2M | PRESENT)
        self.set(DIRECT_2M, 0, SMALL | PRESENT)
        for block in range(1, 4):
            self.set(DIRECT_2M, block, block * 2 * MIB | KERNEL_RW | LARGE)
        for page in range(512):
            self.set(SMALL, page, page * PAGE | KERNEL_RW)
        self.set(MODULES_1G, MODULES >> 30 & 511, MODULES_2M | PRESENT)
        self.set(MODULES_2M, 0, MODULE_PAGES | PRESENT)
        self.tables = find_page_tables(Ram(self.path, 8), TOP, None)

    def set(self, table: int, index: int, entry: int) -> None:
        """Writes an entry, as the kernel would."""
        with open(self.path, "r+b") as file:
            file.seek(table + 8 * index)
            file.write(struct.pack("<Q", entry))


class WalkTest(unittest.TestCase):
    """The walk, and what it says about changes."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.guest = Guest(folder.name)
        self.addCleanup(self.guest.tables.ram.close)
        self.direct_map = self.guest.tables.direct_map()

    def changed(self) -> dict[str, object]:
        """What changed since the walk before."""
        old = self.direct_map
        self.direct_map = self.guest.tables.direct_map()
        return changes.direct_map_changes(old, self.direct_map)

    def test_layout_and_totals(self) -> None:
        direct_map = self.guest.tables.direct_map()
        expected = [[0, 512, "4K", "rw"], [512, 1536, "2M", "rw"], [2048, 262_144 - 2048, "-", "none"]]
        self.assertEqual(changes.layout(direct_map), expected)
        total = changes.totals(direct_map)
        self.assertEqual((total["w4k"], total["w2m"], total["n2m"], total["n1g"]), (2048, 6144, 3, 0))
        self.assertEqual(self.guest.tables.translate(DIRECT_MAP + 3 * MIB + 5), 3 * MIB + 5)

    def test_a_page_becomes_read_only_and_an_entry_splits(self) -> None:
        self.assertEqual(self.changed(), {})
        self.guest.set(SMALL, 7, 7 * PAGE | KERNEL_RO)
        self.assertEqual(self.changed(), {"perm": [[7, 1, "rw", "ro"]]})
        table = 4 * MIB
        for page in range(512):
            self.guest.set(table, page, 2 * MIB + page * PAGE | (KERNEL_RO if page in (3, 4) else KERNEL_RW))
        self.guest.set(DIRECT_2M, 1, table | PRESENT)
        self.assertEqual(self.changed(), {"split2m": [[1, 1]], "perm": [[515, 2, "rw", "ro"]]})
        self.guest.set(DIRECT_2M, 1, 2 * MIB | KERNEL_RW | LARGE)
        self.assertEqual(self.changed(), {"coll2m": [[1, 1]], "perm": [[515, 2, "ro", "rw"]]})

    def test_an_image_comes_and_goes(self) -> None:
        empty = self.guest.tables.modules()
        for page, frame in enumerate((20, 19, 5)):
            self.guest.set(MODULE_PAGES, page, frame * PAGE | PRESENT)
        loaded = self.guest.tables.modules()
        stretch = {"va": hex(MODULES), "n": 3, "was": "-", "now": "rox"}
        self.assertEqual(changes.module_changes(empty, loaded), [stretch | {"pfns": [[20, -2], [5, 1]]}])
        back = {"va": hex(MODULES), "n": 3, "was": "rox", "now": "-", "gone": [[20, -2], [5, 1]]}
        self.assertEqual(changes.module_changes(loaded, empty), [back])
        self.guest.set(MODULES_2M, 1, 6 * MIB | PRESENT | LARGE)
        large = changes.module_changes(loaded, self.guest.tables.modules())
        self.assertEqual((large[0]["now"], large[0]["n"], large[0]["pfns"]), ("rox+2M", 512, [[1536, 512]]))

    def test_a_guest_without_a_direct_map_is_refused(self) -> None:
        self.guest.set(TOP, DIRECT_MAP >> 39 & 511, 0)
        with self.assertRaises(BadAddress):
            find_page_tables(self.guest.tables.ram, TOP, None)


class FormatTest(unittest.TestCase):
    """How things are written."""

    def test_runs_of_frames(self) -> None:
        self.assertEqual(changes.frame_runs([5, 6, 7, 20, 19, 18, 3]), [[5, 3], [20, -3], [3, 1]])
        self.assertEqual(changes.frame_runs([]), [])

    def test_initramfs(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "init").write_bytes(b"abc")
            initramfs.pack(folder / "init", folder / "out")
            archive = (folder / "out").read_bytes()
        self.assertEqual(archive[:6], b"070701")
        self.assertEqual((int(archive[14:22], 16), int(archive[54:62], 16)), (0o100755, 3))
        self.assertEqual(archive[110:120], b"init\0\0abc\0")
        self.assertEqual(len(archive) % 4, 0)
        self.assertIn(b"TRAILER!!!\0", archive)


if __name__ == "__main__":
    unittest.main()
