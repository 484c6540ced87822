"""The doctor's readers find what the machine says, and nothing where it says nothing."""

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from deploy.runtime.broker import Broker as Real
from edge.broker import Link
from edge.doctor import hello
from edge.doctor.agent import is_running, read_agent
from edge.doctor.broker import read_broker
from edge.doctor.clock import read_time
from edge.doctor.disk import read_disk
from edge.doctor.power import Power, read_power
from edge.doctor.spool import read_spool
from edge.doctor.way import read_way
from edge.keeping.disk import SPOOL, only_writer
from edge.keeping.spool import Spool
from tests.edge.frames import HandClock, heard

BOX = "box-12"


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_pi_tells_of_its_power(tmp_path: Path) -> None:
    written(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    written(tmp_path / "class/hwmon/hwmon0/name", "cpu_thermal\n")
    written(tmp_path / "class/hwmon/hwmon1/name", "rpi_volt\n")
    written(tmp_path / "class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    written(tmp_path / "class/thermal/thermal_zone0/temp", "51234\n")

    assert read_power(tmp_path) == Power(throttled=0x50005, alarm=True, celsius=51.234)


@pytest.mark.parametrize("odd", ["", "much", "\x00"])
def test_a_machine_that_says_nothing_or_nonsense_is_borne(tmp_path: Path, odd: str) -> None:
    assert read_power(tmp_path) == Power()
    written(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", odd)
    written(tmp_path / "class/hwmon/hwmon1/name", "rpi_volt\n")
    written(tmp_path / "class/thermal/thermal_zone0/temp", odd)

    assert read_power(tmp_path) == Power()


def test_a_card_tells_of_its_wear(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    device = home.stat().st_dev
    place = tmp_path / "sys/devices/mmc/mmcblk0/mmcblk0p2"
    written(place / "stat", "1 2 3 4 5 6 2000000 8")
    written(place.parent / "device/life_time", "0x02 0x03\n")
    written(tmp_path / "sys/fs/ext4/mmcblk0p2/errors_count", "7\n")
    named = tmp_path / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    named.parent.mkdir(parents=True)
    named.symlink_to(place)
    written(tmp_path / "uptime", "86400.00 1.0\n")

    said = read_disk(
        home, room_days=9, trouble=None, sys=tmp_path / "sys", uptime=tmp_path / "uptime"
    )

    assert (said.errors, said.worn, said.written) == (7, 30, 2_000_000 * 512.0)
    assert (said.read_only, said.room_days) == (False, 9)
    assert said.free is not None


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    said = read_disk(tmp_path / "none", room_days=None, trouble=None, sys=tmp_path)

    assert said.failed == "No such file or directory"


def test_the_kernel_is_asked_for_the_time_and_nothing_is_set() -> None:
    told = read_time(5.0, proved=9e9)

    assert (told.shows, told.earliest) == (5.0, 9e9)
    assert told.off is None or told.off >= 0
    assert read_time(5.0, synchronised=True).off is None


ROUTES = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
)
DEFAULT = "wlan0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
IPV6 = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fe800000000000000000000000000001 00000400 00000001 00000000 00450003 wlan0\n"
)
WIRELESS = (
    "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n"
    " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"
    " wlan0: 0000   58.  -52.  -256        0      0      0      0     13        0\n"
)


def test_the_way_out_and_the_wifis_signal_are_found(tmp_path: Path) -> None:
    written(tmp_path / "route", ROUTES + DEFAULT)
    written(tmp_path / "wireless", WIRELESS)

    told = read_way("", 0, proc=tmp_path)

    assert (told.interface, told.wifi) == ("wlan0", -52.0)


def test_a_home_with_ipv6_alone_has_a_way_out(tmp_path: Path) -> None:
    written(tmp_path / "route", ROUTES)
    written(tmp_path / "ipv6_route", IPV6)

    assert read_way("", 0, proc=tmp_path).interface == "wlan0"


def test_a_home_without_a_way_out_is_seen(tmp_path: Path) -> None:
    written(tmp_path / "route", ROUTES + "odd\n")
    written(tmp_path / "wireless", "odd\n\nwlan0: x\n")

    told = read_way("", 0, proc=tmp_path)

    assert (told.interface, told.wifi) == (None, None)


def test_a_name_that_is_none_and_a_port_that_is_shut_are_told_apart() -> None:
    with socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))
        port = shut.getsockname()[1]
        refused = read_way("127.0.0.1", port)
    unknown = read_way("gateway.invalid", 8883)

    assert (refused.unknown_name, refused.unreachable) == (None, "Connection refused")
    assert unknown.unknown_name


def test_a_running_agent_is_seen_without_touching_its_lock(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    lock = only_writer(tmp_path / SPOOL)
    try:
        assert is_running(tmp_path)
        assert not is_running(tmp_path / "elsewhere")
    finally:
        os.close(lock)
    assert not is_running(tmp_path)


async def test_an_agent_that_starts_while_the_doctor_looks_finds_its_lock_free(
    tmp_path: Path,
) -> None:
    """`edge status` holds the lock for a moment; the doctor must not, for it is asked often."""
    os.close(only_writer(tmp_path / SPOOL))
    looking, stop = threading.Event(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            is_running(tmp_path)
            looking.set()

    doctor = threading.Thread(target=look)
    doctor.start()
    looking.wait(5)
    try:
        for _ in range(300):
            os.close(only_writer(tmp_path / SPOOL))  # raises SpoolTaken
    finally:
        stop.set()
        doctor.join()


@pytest.mark.parametrize("odd", [None, [], "x", 10**400, True])
def test_what_no_agent_says_is_borne(odd: Any) -> None:
    said: dict[str, Any] = dict.fromkeys(("version", "config", "refused", "unkept", "path"), odd)

    agent = read_agent(said, joined=True, running=True)

    assert isinstance(agent.config, int)


def test_the_spool_is_read_beside_its_agent(tmp_path: Path) -> None:
    with Spool(tmp_path / SPOOL, HandClock()) as spool:
        spool.append(heard(1), "urgent")
        spool.append(heard(2), "bulk")
        told = read_spool(tmp_path, said={"connected": True}, running=True)

    assert {lane: depth for lane, (depth, _) in told.depths.items()} == {"urgent": 1, "bulk": 1}
    assert (told.streams, told.receipt, told.connected, told.failed) == (2, None, True, None)


def test_a_spool_on_a_card_that_takes_no_writes_is_read(tmp_path: Path) -> None:
    with Spool(tmp_path / SPOOL, HandClock()) as spool:
        spool.append(heard(1), "urgent")
    before = sorted(tmp_path.iterdir())
    for path in (tmp_path, *before):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        told = read_spool(tmp_path, said={}, running=False)
    finally:
        tmp_path.chmod(0o755)

    assert (told.failed, told.depths["urgent"][0]) == (None, 1)
    assert sorted(tmp_path.iterdir()) == before, "nothing was written beside it"


def test_a_spool_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / SPOOL).write_bytes(b"no database at all, but long enough to be looked at" * 40)

    assert read_spool(tmp_path, said={}, running=False).failed


def link(broker: Real, *, edge: str = BOX, password: str = BOX) -> Link:
    return Link.to(f"mqtt://127.0.0.1:{broker.port}", edge=edge, username=edge, password=password)


def asked(link: Link, *, running: bool = False, connected: bool = False) -> Any:
    return read_broker(link, running=running, connected=connected, earliest=None, ours_until=None)


def test_a_broker_that_takes_the_box_is_told_from_one_that_does_not(broker: Real) -> None:
    taken, refused = asked(link(broker)), asked(link(broker, password="of yesterday"))  # noqa: S106

    assert (taken.refused, taken.unreachable, taken.asked) == (None, None, True)
    assert refused.refused in ("name or password is wrong", "not authorised")


def test_a_running_agent_is_not_thrown_out_by_its_own_name(broker: Real) -> None:
    with socket.create_connection(("127.0.0.1", broker.port)) as agent:
        assert hello.ask(agent, BOX, BOX, BOX) is None
    with socket.create_connection(("127.0.0.1", broker.port)) as agent:
        agent.sendall(hello.connect(BOX, BOX, BOX))
        assert agent.recv(64)[0] == 0x20
        told = asked(link(broker), running=True, connected=True)
        agent.settimeout(0.5)
        with pytest.raises(TimeoutError):
            agent.recv(1)
        asked(link(broker))  # the saboteur: with the box's name said it is thrown out
        agent.settimeout(5)
        assert agent.recv(64)[0] == 0xE0

    assert (told.asked, told.connected, told.refused) == (False, True, None)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20", b"\x20\xff\xff\xff\xff\xff", b"\x20\x00"],
)
def test_what_is_no_broker_is_borne(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(1_000)
                line.sendall(answer)

        other = threading.Thread(target=serve)
        other.start()
        told = asked(Link.to(f"mqtt://127.0.0.1:{server.getsockname()[1]}", edge=BOX))
        other.join()

    assert told.unreachable or told.refused or answer == b"\x20\x00"


def test_a_hello_of_any_length_is_written_as_the_standard_says() -> None:
    assert hello.connect("b", None, None) == b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x01b"
    assert hello.connect("b" * 200, "u", "p")[1:3] == bytes([0x80 | (219 & 0x7F), 1])
