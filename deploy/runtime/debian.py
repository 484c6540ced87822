"""Makes a disk with a Debian 13 on it that boots in QEMU, as bare as a box: only for long tests."""

import shutil
import tempfile
from pathlib import Path

from deploy.runtime.exits import Exit, Stop
from deploy.runtime.paths import RUNTIME
from deploy.runtime.prefix import KEYRINGS, RELEASE, machines_own_access
from deploy.runtime.sources import mirrors, read_sources
from deploy.runtime.steps import Stamp, digest, last_line, replace_folder, run, step

FOLDER = RUNTIME / "debian-13"
DISK, KERNEL, INITRD = FOLDER / "root.ext4", FOLDER / "vmlinuz", FOLDER / "initrd"

_PACKAGES = (
    *("linux-image-cloud-amd64", "systemd-sysv", "udev", "dbus", "init-system-helpers"),
    # what the box's package depends on, and a broker to speak with
    *("python3", "bluez", "polkitd", "mosquitto"),
)
_SIZE = "1500M"
_LAYOUT = "1"
_ORDERS = """\
import json, os, subprocess

port = os.open("/dev/virtio-ports/orders", os.O_RDWR)
with os.fdopen(os.dup(port), "rb") as orders:
    for line in orders:
        shell = ["/bin/sh", "-c", json.loads(line)]
        done = subprocess.run(shell, capture_output=True, text=True, errors="replace")
        said = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
        left = (json.dumps(said) + "\\n").encode()
        while left:
            left = left[os.write(port, left):]
"""
_ORDERS_UNIT = """\
[Unit]
After=multi-user.target
[Service]
ExecStart=/usr/bin/python3 -I /usr/local/lib/orders.py
Restart=always
"""


def build_debian() -> None:
    """Make the disk, its kernel and its initrd where they are not there. Raises Stop.

    What runs in it takes orders, a shell's words as a line of JSON, on the virtio port `orders`.
    """
    inputs = digest(_LAYOUT, RELEASE, _SIZE, _ORDERS, _ORDERS_UNIT, *_PACKAGES)
    stamp = Stamp(file=RUNTIME / "stamps" / "debian-13", inputs=inputs)
    if stamp.is_current() and DISK.exists():
        return
    with tempfile.TemporaryDirectory(dir=RUNTIME) as scratch, step("a Debian 13 that boots"):
        tree, fresh = Path(scratch) / "tree", Path(scratch) / "fresh"
        _bootstrap(tree, Path(scratch))
        _take_orders(tree)
        fresh.mkdir()
        for name, taken in (("vmlinuz", KERNEL), ("initrd.img", INITRD)):
            [found] = (tree / "boot").glob(f"{name}-*")
            shutil.copy(found, fresh / taken.name)
        disk = fresh / DISK.name
        run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, disk, _SIZE], failed=_refused)
        replace_folder(fresh, FOLDER)
        stamp.write()


def _bootstrap(tree: Path, scratch: Path) -> None:
    access = scratch / "access.conf"
    access.write_text(machines_own_access())
    found = mirrors(read_sources(Path("/etc/apt")))
    if not found:
        raise Stop(Exit.UNSUPPORTED_SYSTEM, "No Debian mirror is named in /etc/apt.")
    words = ["--variant=minbase", "--mode=root", f"--aptopt={access}"]
    words += [f"--keyring={keyring}" for keyring in KEYRINGS if keyring.exists()]
    words += [f"--include={','.join(_PACKAGES)}", RELEASE, str(tree), found[0].main]
    run(["mmdebstrap", *words], failed=_refused)


def _take_orders(tree: Path) -> None:
    (tree / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
    (tree / "usr/local/lib/orders.py").write_text(_ORDERS)
    unit = "etc/systemd/system/orders.service"
    (tree / unit).write_text(_ORDERS_UNIT)
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "orders.service").symlink_to(f"/{unit}")


def _refused(output: str) -> Stop:
    return Stop(Exit.DOWNLOAD_REFUSED, f"Debian 13 could not be laid out: {last_line(output)}")
