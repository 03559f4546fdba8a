"""postroom oof, device and task, at both places."""

import asyncio

import pytest

from tests.support.commands import Command
from tests.support.service import ADMIN_PASSWORD, Api


@pytest.fixture
async def user(admin: Api) -> str:
    """The path of anna@example.org."""
    domain = await admin.make_domain("example.org")
    return f"/domains/{domain}/users/{(await admin.make_user(domain, 'anna'))['ID']}"


async def test_oof(command: Command, admin: Api, user: str) -> None:
    """Replies are turned on, for a time and off; what is not given stays."""
    await command("oof", "set", "anna@example.org", "--subject", "Away", "--reply", "-", given="On\nholiday")
    oof = await admin.get(f"{user}/oof")
    assert (oof["state"], oof["internalSubject"], oof["internalReply"]) == (1, "Away", "On\nholiday")
    times = ("--from", "2026-12-24 00:00:00", "--until", "2027-01-02 00:00:00")
    await command("oof", "set", "anna@example.org", *times, "--external", "known")
    assert (await admin.get(f"{user}/oof"))["state"] == 2
    shown = await command("oof", "show", "anna@example.org")
    assert "Away" in shown.out
    assert "known" in shown.out
    assert "On holiday" in shown.out
    assert (await command("oof", "show", "anna@example.org", "--json")).data == await admin.get(f"{user}/oof")
    await command("oof", "off", "anna@example.org")
    assert (await admin.get(f"{user}/oof"))["state"] == 0
    for arguments, reason in (
        (("--external", "some"), "none, known, all"),
        (("--from", "soon"), "startTime"),
        (("--subject", "a\nb"), "internalSubject"),
    ):
        assert reason in (await command("oof", "set", "anna@example.org", *arguments, code=2)).err
    bad = await command("oof", "set", "anna@example.org", "--reply", "-", given=b"\xff", code=2)
    assert "not UTF-8" in bad.err


async def test_devices(command: Command, admin: Api, user: str) -> None:
    """A device is named by the beginning of its ID; a wipe at a service needs one's own password."""
    for device in ("androidc42", "androidc43", "phone"):
        report = {"devicetype": "Phone", "lastconnecttime": 1_785_574_800}
        answer = await admin.call("PUT", f"/service/sync/anna@example.org/{device}", report)
        assert answer.status == 200
    listed = await command("device", "list", "anna@example.org")
    assert "2026-08-01 09:00:00" in listed.out
    assert listed.err == "3 of 3 devices\n"
    await command("device", "resync", "anna@example.org", "ph")
    several = await command("device", "resync", "anna@example.org", "andro", code=2)
    assert "androidc42, androidc43" in several.err
    assert "Did you mean phone?" in (await command("device", "cancel", "anna@example.org", "fone", code=2)).err
    assert "--yes" in (await command("device", "wipe", "anna@example.org", "phone", code=2)).err
    wipe = ("device", "wipe", "anna@example.org", "phone", "--yes")
    if command.where == "remote":
        assert "--password-stdin" in (await command(*wipe, code=2)).err
        assert "password" in (await command(*wipe, "--password-stdin", given="wrong", code=2)).err
        await command(*wipe, "--password-stdin", given=ADMIN_PASSWORD)
    else:
        await command(*wipe)

    async def statuses() -> dict[str, int]:
        return {each["deviceid"]: each["wipeStatus"] for each in (await admin.get(f"{user}/sync"))["data"]}

    assert (await statuses())["phone"] == 2
    assert "to be wiped" in (await command("device", "list", "anna@example.org")).out
    await command("device", "cancel", "anna@example.org", "phone")
    assert (await statuses())["phone"] == 1
    await command("device", "remove", "anna@example.org", "phone", "--yes")
    assert "phone" not in await statuses()


async def test_tasks(command: Command, admin: Api) -> None:
    """A running task is listed, shown, cancelled and deleted, also by another process than that which runs it."""
    context = command.service.context
    begun = asyncio.Event()

    async def work(_task_id: int) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "Done"

    assert (await command("task", "list")).err == "0 of 0 tasks\n"
    task_id = await context.tasks.start("test", {}, None, work)
    await begun.wait()
    assert "runs" in (await command("task", "list")).out
    assert "test" in (await command("task", "show", str(task_id))).out
    assert (await command("task", "show", str(task_id), "--json")).data == await admin.get(f"/tasq/tasks/{task_id}")
    assert "has not ended" in (await command("task", "delete", str(task_id), code=2)).err
    assert (await command("task", "cancel", str(task_id))).out == f"Task {task_id} has been cancelled\n"
    await command("task", "delete", str(task_id))
    assert "There is no task 7" in (await command("task", "show", "7", code=2)).err
    assert (await command("task", "cancel", "7", "8", code=1)).err.count("There is no task") == 2
    assert "'x'" in (await command("task", "show", "x", code=2)).err
