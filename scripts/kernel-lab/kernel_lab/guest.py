"""A guest in QEMU that executes commands, one line each."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from .page_tables import PageTables, Ram, find_page_tables


class GuestFailed(Exception):
    """The guest did not start, went away, or did not answer in time."""


class TooSlow(GuestFailed):
    """The time for the run is over."""


@dataclass
class Machine:
    """What is booted, and how."""

    kernel: Path
    initramfs: Path
    ram_mib: int = 4096
    cpus: int = 1
    kaslr: bool = False
    #: More words for the kernel's command line.
    append: str = ""
    #: Seconds until the run is given up.
    limit: int = 900
    command_line: str = field(init=False)

    def __post_init__(self) -> None:
        words = "console=ttyS0 loglevel=4 panic=-1 rdinit=/init"
        words += "" if self.kaslr else " nokaslr"
        self.command_line = words + (f" {self.append}" if self.append else "")


def _folder_for_ram(mib: int, work: Path) -> Path:
    """Where the file with the guest's RAM goes: in memory if there is room for it."""
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).free >= (mib + 64) << 20:
        return shared
    return work


class Guest:
    """A running guest; use it in a `with` statement."""

    def __init__(self, machine: Machine, work: Path) -> None:
        self.machine = machine
        self.started = time.monotonic()
        self._folder = Path(tempfile.mkdtemp(prefix="guest-", dir=work))
        descriptor, name = tempfile.mkstemp(prefix="kernel-lab-ram-", dir=_folder_for_ram(machine.ram_mib, work))
        os.close(descriptor)
        self._ram_file = Path(name)
        self._ram: Ram | None = None
        self._pending = b""
        self._line: socket.socket | None = None
        self._process = self._start()
        #: What the guest's kernel printed, once the guest has ended.
        self.console = ""

    def _start(self) -> subprocess.Popen[bytes]:
        machine, folder = self.machine, self._folder
        memory = f"memory-backend-file,id=ram,size={machine.ram_mib}M,mem-path={self._ram_file},share=on"
        arguments = ["qemu-system-x86_64", "-machine", "q35,memory-backend=ram", "-accel", "tcg,tb-size=256"]
        arguments += ["-cpu", "max,la57=off", "-smp", str(machine.cpus), "-m", f"{machine.ram_mib}M", "-object", memory]
        arguments += ["-kernel", str(machine.kernel), "-initrd", str(machine.initramfs)]
        arguments += ["-append", machine.command_line, "-nographic", "-no-reboot"]
        arguments += ["-monitor", "none", "-nic", "none", "-vga", "none"]
        arguments += ["-serial", f"file:{folder}/console"]
        arguments += ["-serial", f"unix:{folder}/line,server=on,wait=off"]
        arguments += ["-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
        with open(folder / "qemu.log", "wb") as log:
            # A group of its own: Ctrl-C is for us, and we end the guest.
            return subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        if self._ram is not None:
            self._ram.close()
        console = self._folder / "console"
        if console.exists():
            self.console = console.read_text(errors="replace")
        self._ram_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def greeting(self) -> dict[str, Any]:
        """Waits until the guest is up; its first line."""
        self._line = self._connect("line")
        return self.receive()

    def page_tables(self) -> PageTables:
        """The page tables of the guest, which must stand still."""
        symbol = self.command("ksym page_offset_base").get("addr")
        self._ram = Ram(self._ram_file, self.machine.ram_mib)
        return find_page_tables(self._ram, self._cr3(), int(symbol, 16) if symbol else None)

    def _cr3(self) -> int:
        with self._connect("qmp") as connection, connection.makefile("rw", encoding="ascii") as qmp:

            def execute(command: str, **arguments: str) -> Any:
                qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
                qmp.flush()
                while True:
                    answer = json.loads(qmp.readline())
                    if "return" in answer:
                        return answer["return"]
                    if "error" in answer:
                        raise GuestFailed(f"QEMU refuses {command}: {answer['error']}")

            qmp.readline()  # QEMU's greeting
            execute("qmp_capabilities")
            registers = execute("human-monitor-command", **{"command-line": "info registers"})
        found = re.search(r"CR3=([0-9a-f]+)", registers)
        if found is None:
            raise GuestFailed("QEMU does not tell the register CR3")
        return int(found.group(1), 16)

    def _connect(self, name: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        while True:
            try:
                connection.connect(str(self._folder / name))
                return connection
            except OSError:
                if self._process.poll() is not None:
                    log = (self._folder / "qemu.log").read_text(errors="replace").strip()
                    raise GuestFailed(f"QEMU ended: {log or 'without a word'}") from None
                self._check_time()
                time.sleep(0.05)

    def _check_time(self) -> float:
        """The seconds that are left."""
        left = self.machine.limit - (time.monotonic() - self.started)
        if left <= 0:
            raise TooSlow(f"not done after {self.machine.limit} s")
        return left

    def send(self, line: str) -> None:
        """Sends a line without waiting for an answer."""
        assert self._line is not None, "a guest is greeted first"
        self._line.sendall(line.encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        """The next line of the guest."""
        assert self._line is not None, "a guest is greeted first"
        while b"\n" not in self._pending:
            self._line.settimeout(self._check_time())
            try:
                data = self._line.recv(1 << 16)
            except socket.timeout:
                continue
            if not data:
                raise GuestFailed("the guest is gone; see its console")
            self._pending += data
        line, self._pending = self._pending.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def command(self, line: str) -> dict[str, Any]:
        """Executes a command; its answer."""
        self.send(line)
        return self.receive()

    def power_off(self) -> None:
        """Ends the guest in good order."""
        self.command("off")
        try:
            self._process.wait(min(20.0, self._check_time()))
        except subprocess.TimeoutExpired:
            pass  # __exit__ ends it
