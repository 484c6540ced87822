"""A booted Debian 13 on an emulated machine, which takes orders like a person at its keyboard."""

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.runtime.debian import DISK, INITRD, KERNEL
from deploy.runtime.process import Guarded

_BOOTING = 240.0  # seconds, where the processor is emulated too
_TRY = 15.0


@dataclass(frozen=True, slots=True)
class Said:
    """What an order ended with."""

    code: int
    out: str
    err: str


class NoAnswer(Exception):
    """The machine did not answer in time; the text quotes what it last wrote to its console."""


@dataclass(slots=True, kw_only=True)
class Machine:
    """It has a disk of its own, and one with files at /files that it may only read."""

    folder: Path
    _running: Guarded | None = None
    _orders: socket.socket | None = None
    _heard: bytes = field(default=b"")

    @classmethod
    def make(cls, folder: Path, files: Path) -> "Machine":
        folder.mkdir()
        subprocess.run(["cp", "--sparse=always", DISK, folder / "root.ext4"], check=True)
        disk = ["/sbin/mke2fs", "-q", "-t", "ext4", "-d", files, folder / "files.ext4", "100M"]
        subprocess.run(disk, check=True)
        return cls(folder=folder)

    def start(self) -> None:
        """Switch it on; returns when it takes orders."""
        (self.folder / "orders").unlink(missing_ok=True)
        self._running = Guarded.start(self._command(), log=self.folder / "qemu.log", grace=1)
        self._orders, self._heard = self._connected(), b""
        self.wait_until("true", within=_BOOTING)
        self.order("mkdir -p /files && mount -o ro /dev/vdb /files")

    def cut(self) -> None:
        """The power goes."""
        if self._orders is not None:
            self._orders.close()
        if self._running is not None:
            self._running.stop()

    def order(self, words: str, *, within: float = 120.0) -> Said:
        """Do it with the shell, as root. Raises NoAnswer."""
        mark = secrets.token_hex(8)
        orders = self._orders
        if orders is None:
            raise NoAnswer("it is switched off")
        orders.sendall(json.dumps(f"echo {mark}\n{words}").encode() + b"\n")
        until = time.monotonic() + within
        while time.monotonic() < until:
            for said in self._answers(orders):
                if said.out.startswith(mark):  # not of an order given before
                    return Said(said.code, said.out.removeprefix(f"{mark}\n"), said.err)
        raise NoAnswer(f"{words}: {self.console()}")

    def done(self, words: str, *, within: float = 120.0) -> str:
        """Do what must succeed; what it said."""
        said = self.order(words, within=within)
        assert said.code == 0, f"{words}: {said.out} {said.err} {self.console()}"
        return said.out.strip()

    def wait_until(self, words: str, *, within: float) -> None:
        """Until the shell's words succeed. Raises NoAnswer."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            try:
                if self.order(words, within=_TRY).code == 0:
                    return
            except NoAnswer:
                continue
            time.sleep(1)
        raise NoAnswer(f"never: {words}: {self.console()}")

    def console(self) -> str:
        return (self.folder / "console.log").read_text(errors="replace")[-500:]

    def _answers(self, orders: socket.socket) -> Iterable[Said]:
        orders.settimeout(1)
        try:
            self._heard += orders.recv(65_536)
        except TimeoutError:
            return
        *lines, self._heard = self._heard.split(b"\n")
        yield from (Said(**json.loads(line)) for line in lines)

    def _connected(self) -> socket.socket:
        orders = socket.socket(socket.AF_UNIX)
        for _ in range(100):
            try:
                orders.connect(str(self.folder / "orders"))
            except OSError:
                time.sleep(0.1)
            else:
                return orders
        raise NoAnswer((self.folder / "qemu.log").read_text())

    def _command(self) -> list[str]:
        folder = self.folder
        disks = [
            ("-drive", f"file={folder / name},if=virtio,format=raw")
            for name in ("root.ext4", "files.ext4")
        ]
        orders = f"socket,id=orders,path={folder / 'orders'},server=on,wait=off"
        kernel = "root=/dev/vda rw console=ttyS0 quiet"
        return [
            *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi"),
            *("-cpu", "max", "-m", "768", "-smp", "2", "-nodefaults", "-no-user-config"),
            *("-display", "none", "-serial", f"file:{folder / 'console.log'}", "-nic", "none"),
            *("-kernel", str(KERNEL), "-initrd", str(INITRD), "-append", kernel),
            *(word for disk in disks for word in disk),
            *("-device", "virtio-serial", "-chardev", orders),
            *("-device", "virtserialport,chardev=orders,name=orders"),
        ]
