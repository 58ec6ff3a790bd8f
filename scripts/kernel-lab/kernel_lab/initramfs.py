"""Packs the guest's first process, and what else it needs, into a root file system for the kernel (cpio, `newc`)."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

GUEST_SOURCES = Path(__file__).resolve().parent.parent / "guest"

#: The console device, which a kernel opens before the first process can make one.
_CONSOLE = (5, 1)


class BuildFailed(Exception):
    """The guest's first process cannot be built."""


def build_init(output: Path) -> None:
    """Compiles the guest's first process, statically: nothing else is in the guest."""
    sources = sorted(str(path) for path in GUEST_SOURCES.glob("*.c"))
    compiler = os.environ.get("CC", "gcc")
    try:
        subprocess.run([compiler, "-O2", "-Wall", "-static", "-o", str(output), *sources], check=True)
    except FileNotFoundError:
        raise BuildFailed(f"there is no C compiler `{compiler}`; install gcc, or name one in CC") from None
    except subprocess.CalledProcessError:
        raise BuildFailed("the guest's first process does not compile; it needs a static C library") from None


def _entry(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """A file as cpio has it: a header of numbers in hex, the name, the contents; both padded to four bytes."""
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return header + b"\0" * (-len(header) % 4) + data + b"\0" * (-len(data) % 4)


def _entries(init: Path, root: Path | None) -> Iterator[bytes]:
    yield _entry(1, "init", stat.S_IFREG | 0o755, init.read_bytes())
    yield _entry(2, "dev", stat.S_IFDIR | 0o755)
    yield _entry(3, "dev/console", stat.S_IFCHR | 0o600, device=_CONSOLE)
    for number, path in enumerate(sorted(root.rglob("*")) if root else (), 4):
        name, mode = str(path.relative_to(root or path)), path.lstat().st_mode
        if path.is_symlink():
            yield _entry(number, name, mode, os.readlink(path).encode())
        elif path.is_file():
            yield _entry(number, name, mode, path.read_bytes())
        elif path.is_dir():
            yield _entry(number, name, mode)
    yield _entry(0, "TRAILER!!!", 0)


def pack(init: Path, output: Path, root: Path | None = None) -> None:
    """Writes the file system: the first process, a console, and the files below `root`."""
    with open(output, "wb") as archive:
        for entry in _entries(init, root):
            archive.write(entry)
