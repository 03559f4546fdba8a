"""postroom org and role, at both places."""

import asyncio
from typing import Any

import pytest

from postroom.app.cli.api import Api as CommandApi
from tests.support.commands import Command
from tests.support.service import Api


async def test_orgs(command: Command, admin: Api) -> None:
    """An organisation is created, listed, shown, changed and deleted by name or ID."""
    made = await command("org", "create", "Example Ltd", "--description", "First")
    assert made.out == "The organisation Example Ltd has been created\n"
    await admin.make_domain("example.org", orgID=1)
    assert "example.org" in (await command("org", "show", "Example Ltd")).out
    assert (await command("org", "show", "1", "--json")).data == await admin.get("/system/orgs/1")
    assert (await command("org", "list")).out.splitlines()[1].split() == ["1", "Example", "Ltd", "1", "First"]
    assert "nothing to change" in (await command("org", "set", "Example Ltd", code=2)).err
    await command("org", "set", "Example Ltd", "--name", "Example plc")
    assert (await admin.get("/system/orgs/1"))["name"] == "Example plc"
    assert "Did you mean Example plc?" in (await command("org", "show", "Exampel plc", code=2)).err
    assert "another organisation" in (await command("org", "create", "Example plc", code=2)).err
    assert "--yes" in (await command("org", "delete", "Example plc", code=2)).err
    await command("org", "delete", "Example plc", "--yes")
    assert (await admin.get("/system/orgs"))["count"] == 0
    assert (await command("org", "list")).err == "0 of 0 organisations\n"


async def test_roles(command: Command, admin: Api) -> None:
    """A role is created with permissions by name, given, taken away, changed and deleted."""
    await admin.post("/system/orgs", {"name": "Example Ltd"})
    domain = await admin.make_domain("example.org")
    for name in ("anna", "paul"):
        await admin.make_user(domain, name)
    permissions = ("DomainAdmin:example.org", "OrgAdmin:Example Ltd", "DomainPurge:*", "ResetPasswd")
    await command("role", "create", "Office", *(word for each in permissions for word in ("--permission", each)))
    role = await admin.get("/system/roles/1")
    assert [(each["permission"], each["params"]) for each in role["permissions"]] == [
        ("DomainAdmin", domain), ("OrgAdmin", 1), ("DomainPurge", "*"), ("ResetPasswd", None)
    ]  # fmt: skip
    given = await command("role", "add", "Office", "anna@example.org", "paul@example.org", "x@example.org", code=1)
    assert given.out.count("has the role Office\n") == 2
    assert "already" in (await command("role", "add", "1", "anna@example.org")).out
    shown = (await command("role", "show", "Office")).out
    assert "anna@example.org, paul@example.org" in shown
    assert "DomainAdmin:1, OrgAdmin:1, DomainPurge:*, ResetPasswd" in shown
    await command("role", "remove", "Office", "anna@example.org")
    assert "does not have" in (await command("role", "remove", "Office", "anna@example.org")).out
    assert (await command("role", "show", "Office", "--json")).data["users"] == [
        {"ID": 2, "username": "paul@example.org"}
    ]
    await command("role", "set", "Office", "--name", "Front", "--permission", "DomainAdminRO:1")
    assert "Front" in (await command("role", "list")).out
    assert (await command("role", "list", "--json")).data[0]["permissions"][0]["permission"] == "DomainAdminRO"
    for arguments, reason in (
        (("create", "X", "--permission", "Everything"), "There is no permission 'Everything'"),
        (("create", "X", "--permission", "DomainAdmin:exmple.org"), "Did you mean example.org?"),
        (("create", "X", "--permission", "OrgAdmin:Exmple Ltd"), "Did you mean Example Ltd?"),
        (("create", "X", "--permission", "DomainAdmin"), "needs the ID of one domain"),
        (("set", "Front"), "nothing to change"),
        (("add", "Frnt", "anna@example.org"), "Did you mean Front?"),
        (("delete", "Front"), "--yes"),
    ):
        assert reason in (await command("role", *arguments, code=2)).err
    await command("role", "delete", "Front", "--yes")
    assert (await admin.get("/system/roles"))["count"] == 0


async def test_two_at_once(command: Command, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that somebody else gives or takes between the command's look and its change is not lost."""
    path = f"/domains/{await admin.make_domain('example.org')}/users/1"
    await admin.make_user(1, "anna")
    for name in ("Mine", "Theirs"):
        await command("role", "create", name)
    loop, send, meanwhile = asyncio.get_running_loop(), CommandApi._send, [[2], []]

    async def slow(self: CommandApi, method: str, where: str, *rest: Any) -> Any:
        found = await send(self, method, where, *rest)
        if method == "GET" and where == path and meanwhile:
            other = admin.patch(f"{path}/roles", {"roles": meanwhile.pop(0)})
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(other, loop))
        return found

    monkeypatch.setattr(CommandApi, "_send", slow)
    await command("role", "add", "Mine", "anna@example.org")
    assert [each["name"] for each in (await admin.get(path))["roles"]] == ["Mine"]
    await admin.patch(f"{path}/roles", {"roles": [1]})
    meanwhile[:] = [[1, 2]]
    await command("role", "remove", "Mine", "anna@example.org")
    assert [each["name"] for each in (await admin.get(path))["roles"]] == ["Theirs"]
