"""What a dashboard shows: this machine, its services, the devices that were seen last."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from postroom.app.handlers import dashboard
from postroom.app.services import machine, units
from postroom.app.services.machine import Disk
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.systemctl import ACTIVE, FAILED, MASKED, NOT_FOUND, FakeSystemctl
from tests.support.waiting import until

DASHBOARD, SERVICES, TOP = "/system/dashboard", "/system/dashboard/services", "/system/sync/top"


def read_meminfo() -> dict[str, str]:
    """What Linux says of its memory."""
    return dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())


def is_running(pid: int) -> bool:
    """Whether there is such a process, which has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_figures_are_those_of_this_machine(admin: Api) -> None:
    """Memory, swap, load, disks and the time of the boot are what the system itself says."""
    found = await admin.get(DASHBOARD)
    meminfo = read_meminfo()
    assert found["memory"]["total"] == int(meminfo["MemTotal"].split()[0]) * 1024
    assert found["swap"]["total"] == int(meminfo["SwapTotal"].split()[0]) * 1024
    assert 0 < found["memory"]["available"] < found["memory"]["total"]
    assert found["booted"] == datetime.fromtimestamp(psutil.boot_time(), ZoneInfo("UTC")).strftime("%Y-%m-%d %H:%M:%S")
    assert len(found["load"]) == 3
    assert all(0 <= percent <= 100 for percent in found["cpuPercent"].values())
    for disk in found["disks"]:
        real = os.statvfs(disk["mountpoint"])
        assert disk["total"] == real.f_blocks * real.f_frsize
        assert disk["filesystem"] not in ("proc", "sysfs", "tmpfs", "cgroup2", "overlay", "squashfs")
    devices = [disk["device"] for disk in found["disks"]]
    assert len(set(devices)) == len(devices)


async def test_processors_at_work(admin: Api) -> None:
    """The use of the processors is measured over a moment: work shows, and the event loop goes on meanwhile."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            sum(range(1000))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        found = await admin.get(DASHBOARD)
    finally:
        stop.set()
        worker.join()
    busy = found["cpuPercent"]["user"] + found["cpuPercent"]["system"]
    assert busy > 0


async def test_time_is_in_the_configured_zone(start_service: StartService) -> None:
    """The time of the boot is written like all others."""
    service = await start_service(timezone=ZoneInfo("Asia/Kathmandu"))
    found = await (await service.login("admin", ADMIN_PASSWORD)).get(DASHBOARD)
    local = datetime.fromtimestamp(psutil.boot_time(), ZoneInfo("Asia/Kathmandu"))
    assert found["booted"] == local.strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture
def hanging_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Two disks, of which one hangs when it is asked; the mount points that were asked."""
    release, asked = threading.Event(), list[str]()
    usage = machine.usage_of

    def ask(mountpoint: str) -> dict[str, Any]:
        asked.append(mountpoint)
        if mountpoint == "/broken":
            release.wait(30)
        return usage("/")

    disks = [Disk("/dev/fine", "/", "ext4"), Disk("/dev/broken", "/broken", "ext4"), Disk("/dev/gone", "/gone", "xfs")]
    monkeypatch.setattr(machine, "list_disks", lambda: disks)
    monkeypatch.setattr(machine, "usage_of", ask)
    monkeypatch.setattr(machine, "DISK_PATIENCE", 0.2)
    yield asked
    release.set()


async def test_a_disk_that_hangs(admin: Api, hanging_disk: list[str]) -> None:
    """A disk that does not answer is left out, costs no more than its time limit, and is asked once in all."""
    started = time.monotonic()
    for _ in range(3):
        found = await admin.get(DASHBOARD)
        assert [disk["mountpoint"] for disk in found["disks"]] == ["/", "/gone"]
    assert time.monotonic() - started < 5
    assert hanging_disk.count("/broken") == 1
    assert hanging_disk.count("/") == 3


async def test_a_disk_that_cannot_be_asked(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is gone, or that may not be looked at, is left out."""
    monkeypatch.setattr(machine, "list_disks", lambda: [Disk("/dev/x", "/no/such/place", "ext4")])
    assert (await admin.get(DASHBOARD))["disks"] == []


async def test_a_system_that_hangs(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures that do not come are a 503 that says so."""
    monkeypatch.setattr(machine, "_PATIENCE", 0.1)
    monkeypatch.setattr(machine, "_figures", lambda _: time.sleep(0.5))
    assert "statistics" in await admin.refused(503, "GET", DASHBOARD)


async def test_many_ask_at_once(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who ask at the same time get one answer: however many ask, there is one measurement under way."""
    asked: list[int] = []
    measure = machine._figures

    def count(timezone: tzinfo) -> dict[str, Any]:
        asked.append(1)
        return measure(timezone)

    monkeypatch.setattr(machine, "_figures", count)
    answers = await asyncio.gather(*(admin.get(DASHBOARD) for _ in range(50)))
    assert len(asked) < 10
    assert {answer["booted"] for answer in answers} == {answers[0]["booted"]}


async def test_a_stop_while_it_is_measured(start_service: StartService, hanging_disk: list[str]) -> None:
    """A service that stops does not wait for a disk that hangs."""
    service = await start_service()
    admin = await service.login("admin", ADMIN_PASSWORD)
    asking = asyncio.create_task(admin.call("GET", DASHBOARD))
    await until(lambda: "/broken" in hanging_disk, 5)
    asking.cancel()
    async with asyncio.timeout(2):
        await service.app.cleanup()


# Services


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemctl:
    """A systemctl, and a system that systemd runs."""
    return FakeSystemctl(tmp_path, monkeypatch)


async def test_without_systemd(admin: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where systemd does not run the system there is postroom itself, running since the process began."""
    monkeypatch.setattr(units, "BOOTED", tmp_path / "no")
    (own,) = (await admin.get(SERVICES))["services"]
    since = datetime.fromisoformat(own.pop("since")).replace(tzinfo=ZoneInfo("UTC")).timestamp()
    assert own == {
        "name": "postroom",
        "unit": "postroom.service",
        "state": "active",
        "substate": "running",
        "description": "Administers the mailbox users of mail domains",
        "autostart": "unknown",
    }
    assert abs(time.time() - since) < 60


async def test_services_of_systemd(admin: Api, systemctl: FakeSystemctl) -> None:
    """Services are shown in systemd's words, whatever their state; one that there is not is left out."""
    systemctl.prints(
        ACTIVE.format(pid=os.getpid(), description="The unit of this process"),
        ACTIVE.format(pid=7, description="Postfix = a Mail Transport Agent"),
        FAILED,
        MASKED,
    )
    own, *others = (await admin.get(SERVICES))["services"]
    assert (own["state"], own["autostart"]) == ("active", "enabled")
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    since = [each.pop("since") for each in others]
    assert [datetime.fromisoformat(f"{moment}+00:00").timestamp() - booted for moment in since[:2]] == [
        pytest.approx(2, abs=1.5),
        pytest.approx(3, abs=1.5),
    ]
    assert since[2] is None
    assert others == [
        {"name": "postfix", "unit": "postfix.service", "state": "active", "substate": "running",
         "description": "Postfix = a Mail Transport Agent", "autostart": "enabled"},
        {"name": "dovecot", "unit": "dovecot.service", "state": "failed", "substate": "failed",
         "description": "Dovecot IMAP/POP3 email server", "autostart": "disabled"},
        {"name": "slapd", "unit": "slapd.service", "state": "inactive", "substate": "dead",
         "description": "slapd.service", "autostart": "masked"},
    ]  # fmt: skip


async def test_a_unit_of_another_process(admin: Api, systemctl: FakeSystemctl) -> None:
    """A postroom that does not run as the unit of that name does not claim its autostart."""
    systemctl.prints(
        ACTIVE.format(pid=1, description="Another"),
        *(NOT_FOUND.format(unit=unit) for unit in list(units.UNITS.values())[1:]),
    )
    (own,) = (await admin.get(SERVICES))["services"]
    assert own["autostart"] == "unknown"


async def test_what_systemctl_is_asked(admin: Api, systemctl: FakeSystemctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked to show four units and nothing else, and sees nothing of the environment."""
    monkeypatch.setenv("POSTROOM_ADMIN_PASSWORD", "not for everybody")
    systemctl.prints("")
    await admin.get(f"{SERVICES}?unit=ssh.service")
    (call,) = systemctl.calls
    assert call.startswith("show --no-pager --property=LoadState,")
    assert call.endswith("-- postroom.service postfix.service dovecot.service slapd.service")
    assert "not for everybody" not in systemctl.environment


@pytest.mark.parametrize(
    "commands",
    ["exit 1", "echo nonsense", "head -c 100000 /dev/zero", "printf 'LoadState=loaded\\n\\n\\n\\n'", "kill -9 $$"],
)
async def test_a_systemctl_that_is_of_no_help(admin: Api, systemctl: FakeSystemctl, commands: str) -> None:
    """One that fails, talks nonsense or is killed leaves postroom itself."""
    systemctl.runs(commands)
    assert [each["name"] for each in (await admin.get(SERVICES))["services"]] == ["postroom"]


async def test_a_systemctl_that_is_no_program(admin: Api, systemctl: FakeSystemctl, tmp_path: Path) -> None:
    """One that cannot be run leaves postroom itself."""
    (tmp_path / "systemctl").write_text("#!/no/such/interpreter\n")
    (tmp_path / "systemctl").chmod(0o755)
    assert [each["name"] for each in (await admin.get(SERVICES))["services"]] == ["postroom"]


async def test_a_systemctl_that_hangs(
    admin: Api, systemctl: FakeSystemctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that hangs is ended after its time limit, with all it has started; there is one at a time."""
    monkeypatch.setattr(units, "PATIENCE", 0.5)
    systemctl.runs(f'sleep 60 & echo $! >> "{tmp_path}/sleeping"; wait')
    started = time.monotonic()
    answers = await asyncio.gather(*(admin.get(SERVICES) for _ in range(20)))
    assert time.monotonic() - started < 5
    assert all([each["name"] for each in answer["services"]] == ["postroom"] for answer in answers)
    assert len(systemctl.calls) < 4
    left = [int(pid) for pid in (tmp_path / "sleeping").read_text().split()]
    await until(lambda: not any(is_running(pid) for pid in left), 5)


async def test_a_stop_while_systemctl_hangs(
    start_service: StartService, systemctl: FakeSystemctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that stops does not wait for systemctl."""
    monkeypatch.setattr(units, "PATIENCE", 60)
    systemctl.runs("sleep 60")
    service = await start_service()
    admin = await service.login("admin", ADMIN_PASSWORD)
    asking = asyncio.create_task(admin.call("GET", SERVICES))
    await until(lambda: bool(systemctl.calls), 5)
    asking.cancel()
    async with asyncio.timeout(5):
        await service.app.cleanup()


# Devices


async def report(admin: Api, username: str, device_id: str, **state: Any) -> None:
    """A contact of a device."""
    await admin.put(f"/service/sync/{username}/{device_id}", state)


async def test_devices_that_were_seen_last(admin: Api, domain: int) -> None:
    """Devices of all users come with what was reported of them, the one that was seen last first."""
    now = int(time.time())
    other = await admin.make_domain("other.org")
    await admin.make_user(domain, "jane")
    await admin.make_user(other, "john")
    await report(admin, "jane@example.org", "old", lastconnecttime=now - 500)
    await report(admin, "john@other.org", "phone", lastconnecttime=now - 100, devicetype="Pixel", useragent="Agent/1")
    await report(admin, "jane@example.org", "tablet", lastconnecttime=now - 10, asversion=16.1)
    # Remembered for a wipe, and never seen.
    await admin.call("POST", f"/domains/{domain}/users/1/sync/never/wipe", {"password": ADMIN_PASSWORD})
    found = await admin.get(TOP)
    assert [each["devid"] for each in found["data"]] == ["tablet", "phone", "old"]
    assert found["data"][1] == {
        "pid": 0, "ip": "", "user": "john@other.org", "start": now - 100, "devtype": "Pixel", "devid": "phone",
        "devagent": "Agent/1", "command": -1, "ended": 0, "push": False, "addinfo": "", "update": now - 100,
        "asversion": "",
    }  # fmt: skip
    assert found["data"][0]["asversion"] == 16.1
    assert found.keys() == {"data"}


async def test_devices_of_the_last_moments(admin: Api, domain: int) -> None:
    """`filterUpdated` leaves out what was seen longer ago, as the web console asks for it; both filters come back."""
    now = int(time.time())
    await admin.make_user(domain, "jane")
    await report(admin, "jane@example.org", "old", lastconnecttime=now - 500)
    await report(admin, "jane@example.org", "phone", lastconnecttime=now - 60)
    found = await admin.get(f"{TOP}?filterEnded=20&filterUpdated=120")
    assert (found["maxEnded"], found["maxUpdated"]) == (20, 120)
    assert [each["devid"] for each in found["data"]] == ["phone"]
    assert (await admin.get(f"{TOP}?filterUpdated=0"))["data"] == []
    assert len((await admin.get(f"{TOP}?filterUpdated={10**30}"))["data"]) == 2
    for bad in ("filterUpdated=-1", "filterUpdated=x", "filterEnded="):
        await admin.refused(400, "GET", f"{TOP}?{bad}")


async def test_more_devices_than_are_shown(admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many devices those that were seen last are shown."""
    monkeypatch.setattr(dashboard, "SHOWN", 2)
    await admin.make_user(domain, "jane")
    for number in range(4):
        await report(admin, "jane@example.org", f"d{number}", lastconnecttime=1000 + number)
    assert [each["devid"] for each in (await admin.get(TOP))["data"]] == ["d3", "d2"]


async def test_who_may_look(service: Service, domain: int) -> None:
    """Who reads everything may; who administers a domain may not."""
    reader = await service.login_with(domain, ("SystemAdminRO", {}), name="reader")
    helper = await service.login_with(domain, ("DomainAdmin", {"everything": True}), name="helper")
    for path in (DASHBOARD, SERVICES, TOP):
        await reader.get(path)
        await helper.refused(403, "GET", path)
