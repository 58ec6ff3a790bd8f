"""The guest's page tables, read from outside while the guest stands still.

The guest's RAM is a file that QEMU shares with us. Pages of page tables that have not changed since the last walk are
told by comparing their bytes, so a walk costs little more than reading them.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Optional, Union

PRESENT, WRITE, LARGE, NO_EXEC = 1, 1 << 1, 1 << 7, 1 << 63
#: Bit 12 of a large entry is an attribute (PAT), in a small one it belongs to the frame.
LARGE_PAT = 1 << 12
#: The address in an entry.
ADDRESS = 0x000F_FFFF_FFFF_F000

ENTRIES = 512
PAGE = 4096
PAGES_PER_2M = 512
BLOCKS_PER_GIB = 512

#: Where modules and BPF images stand, and how many 2 MiB of it can be used.
MODULES = 0xFFFF_FFFF_C000_0000
MODULE_BLOCKS = 504
#: Where the direct map starts without address randomization.
DIRECT_MAP = 0xFFFF_8880_0000_0000

# A frame of the direct map is described by a code: the level of its entry (0: nothing is mapped) and three bits.
LEVEL = 3
LEVEL_4K, LEVEL_2M, LEVEL_1G = 1, 2, 3
CODE_PRESENT, CODE_WRITE, CODE_NO_EXEC = 4, 8, 16
#: The bits that are permissions.
CODE_PERMS = CODE_PRESENT | CODE_WRITE | CODE_NO_EXEC

#: 2 MiB of the direct map: one code for all of it, or one for each page.
Block = Union[int, bytes]
#: 2 MiB of the module area: an entry for each page, 0 where there is none; None if there is none at all.
ModuleBlock = Optional[tuple[int, ...]]

_TABLE = struct.Struct("<512Q")
_EMPTY_GIB: list[Block] = [0] * BLOCKS_PER_GIB


class BadAddress(Exception):
    """An address that the guest does not map, or that is not RAM."""


class Ram:
    """The guest's RAM: a file of `mib` MiB."""

    def __init__(self, path: Path, mib: int) -> None:
        with open(path, "rb") as file:
            self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = mib << 20
        # A q35 machine has all of it below 4 GiB if it is less than 2.75 GiB, else 2 GiB.
        self._low_end = 2 << 30 if size >= 0xB000_0000 else 0xB000_0000
        self.end = size if size <= self._low_end else (4 << 30) + size - self._low_end

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def read(self, address: int, length: int) -> bytes:
        """Bytes at a physical address, all of them in one page."""
        offset = address if address < self._low_end else address - (4 << 30) + self._low_end
        data = self._file[offset : offset + length]
        if offset < 0 or len(data) < length:
            raise BadAddress(f"physical address {address:#x}")
        return data

    def table(self, entry: int) -> bytes:
        """The page of page tables that an entry points to."""
        return self.read(entry & ADDRESS, PAGE)

    def entry(self, table: int, index: int) -> int:
        """One entry of a page of page tables."""
        return int.from_bytes(self.read((table & ADDRESS) + 8 * index, 8), "little")


def code_of(entry: int, level: int) -> int:
    """The code of an entry."""
    if entry == 0:
        return 0
    return level | (entry & PRESENT) << 2 | (entry & WRITE) << 2 | (entry >> 63) << 4


def codes_of(table: bytes) -> Block:
    """The codes of a page of small entries."""
    return bytes(code_of(entry, LEVEL_4K) for entry in _TABLE.unpack(table))


class _Gib:
    """A GiB of the direct map as it was walked last."""

    def __init__(self, table: bytes, before: _Gib | None) -> None:
        #: The page of 2 MiB entries.
        self.table = table
        self.blocks: list[Block] = []
        #: Blocks that are mapped by small entries: where their page of entries is, and what it held.
        self.small: dict[int, int] = {}
        self.pages: dict[int, bytes] = {}
        for index, entry in enumerate(_TABLE.unpack(table)):
            self.blocks.append(code_of(entry, LEVEL_2M) if entry & LARGE else 0)
            if entry != 0 and not entry & LARGE:
                self.small[index] = entry & ADDRESS
                if before and before.small.get(index) == entry & ADDRESS:
                    self.pages[index], self.blocks[index] = before.pages[index], before.blocks[index]

    def refresh(self, ram: Ram) -> list[Block]:
        """The blocks as they are now; the same object if none has changed."""
        changed = False
        for index, entry in self.small.items():
            page = ram.table(entry)
            if self.pages.get(index) == page:
                continue
            self.pages[index] = page
            codes = codes_of(page)
            if self.blocks[index] != codes:
                if not changed:
                    self.blocks, changed = list(self.blocks), True
                self.blocks[index] = codes
        return self.blocks


class PageTables:
    """The kernel's page tables."""

    def __init__(self, ram: Ram, root: int) -> None:
        self.ram = ram
        #: Physical address of the top level (CR3).
        self.root = root
        #: Where the direct map starts.
        self.base = DIRECT_MAP
        self._gibs: dict[int, _Gib] = {}
        self._module_pages: dict[int, tuple[bytes, tuple[int, ...]]] = {}

    def translate(self, address: int) -> int:
        """The physical address behind a virtual one."""
        table = self.root
        for shift in (39, 30, 21, 12):
            entry = self.ram.entry(table, address >> shift & ENTRIES - 1)
            if not entry & PRESENT:
                raise BadAddress(f"virtual address {address:#x}")
            if shift == 12 or (entry & LARGE and shift != 39):
                inside = (1 << shift) - 1
                return entry & ADDRESS & ~inside | address & inside
            table = entry
        raise AssertionError("the last level returns")

    def read_u64(self, address: int) -> int:
        """A 64-bit number at a virtual address."""
        return int.from_bytes(self.ram.read(self.translate(address), 8), "little")

    def direct_map(self) -> list[list[Block]]:
        """The direct map, GiB by GiB, 512 blocks of 2 MiB each; unchanged GiB are the same objects as before."""
        gibs = (self.ram.end + (1 << 30) - 1) >> 30
        return [self._gib(number) for number in range(gibs)]

    def _gib(self, number: int) -> list[Block]:
        address = self.base + (number << 30)
        top = self.ram.entry(self.root, address >> 39 & ENTRIES - 1)
        entry = self.ram.entry(top, address >> 30 & ENTRIES - 1) if top & PRESENT else 0
        if entry == 0:
            return _EMPTY_GIB
        if entry & LARGE:
            return [code_of(entry, LEVEL_1G)] * BLOCKS_PER_GIB
        table = self.ram.table(entry)
        gib = self._gibs.get(number)
        if gib is None or gib.table != table:
            gib = self._gibs[number] = _Gib(table, gib)
        return gib.refresh(self.ram)

    def modules(self) -> list[ModuleBlock]:
        """The area of modules and BPF images, in blocks of 2 MiB."""
        top = self.ram.entry(self.root, ENTRIES - 1)
        entry = self.ram.entry(top, MODULES >> 30 & ENTRIES - 1)
        if not entry & PRESENT:
            return [None] * MODULE_BLOCKS
        entries = _TABLE.unpack(self.ram.table(entry))[:MODULE_BLOCKS]
        return [self._module_block(index, entry) for index, entry in enumerate(entries)]

    def _module_block(self, index: int, entry: int) -> ModuleBlock:
        kept = ADDRESS | PRESENT | WRITE | NO_EXEC
        if not entry & PRESENT:
            return None
        if entry & LARGE:
            first = entry & ~LARGE_PAT & kept
            return tuple(first + page * PAGE | LARGE for page in range(PAGES_PER_2M))
        table = self.ram.table(entry)
        known = self._module_pages.get(index)
        if known is None or known[0] != table:
            pages = tuple(page & kept if page & PRESENT else 0 for page in _TABLE.unpack(table))
            known = self._module_pages[index] = (table, pages)
        return known[1]


def find_page_tables(ram: Ram, cr3: int, base_symbol: int | None) -> PageTables:
    """The kernel's page tables, from the register CR3 and the address of `page_offset_base`, if the kernel has it."""
    # With page table isolation bit 12 tells the user's half from the kernel's.
    for root in (cr3 & ADDRESS, cr3 & ADDRESS & ~PAGE):
        tables = PageTables(ram, root)
        try:
            if base_symbol is not None:
                tables.base = tables.read_u64(base_symbol)
            if tables.base >> 47 == 0x1FFFF and tables.translate(tables.base + PAGE) == PAGE:
                return tables
        except BadAddress:
            continue
    raise BadAddress(f"no direct map found from CR3 = {cr3:#x}")
