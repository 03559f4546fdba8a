"""postroom alias, delegate and access: lists of a user, at both places."""

import asyncio
from typing import Any

import pytest

from postroom.app.cli import lists
from tests.support.commands import Command
from tests.support.service import Api


@pytest.fixture
async def domain(admin: Api) -> int:
    """The domain example.org with anna and paul."""
    domain = await admin.make_domain("example.org")
    for name in ("anna", "paul"):
        await admin.make_user(domain, name)
    return domain


async def test_aliases(command: Command, admin: Api, domain: int) -> None:
    """They are added to those that are there, and removed, all or none; another's address is refused."""
    added = await command("alias", "add", "anna@example.org", "a@example.org", "b@example.org")
    assert added.out == "The list of anna@example.org has been stored: a@example.org, b@example.org\n"
    await command("alias", "add", "a@example.org", "c@example.org", "A@example.org")
    assert (await command("alias", "list", "anna@example.org")).out == "a@example.org\nb@example.org\nc@example.org\n"
    assert "paul@example.org" in (await command("alias", "add", "anna@example.org", "paul@example.org", code=2)).err
    missing = await command("alias", "remove", "anna@example.org", "a@example.org", "x@example.org", code=2)
    assert missing.err == "postroom: Not in the list of anna@example.org: x@example.org\n"
    await command("alias", "remove", "anna@example.org", "-", given="a@example.org\nC@example.org\n")
    user = await admin.get(f"/domains/{domain}/users/1")
    assert user["aliases"] == ["b@example.org"]
    assert (await command("alias", "list", "anna@example.org", "--json")).data == user["aliases"]
    await command("alias", "remove", "anna@example.org", "b@example.org")
    assert (await command("alias", "list", "anna@example.org")).out == ""


async def test_delegates(command: Command, admin: Api, domain: int) -> None:
    """The two lists, on behalf of and as the user, are apart."""
    user = f"/domains/{domain}/users/1"
    await command("delegate", "add", "anna@example.org", "paul@example.org", "x@example.com")
    await command("delegate", "add", "anna@example.org", "y@example.com", "--send-as")
    assert (await command("delegate", "list", "anna@example.org")).out == "paul@example.org\nx@example.com\n"
    await command("delegate", "remove", "anna@example.org", "x@example.com")
    assert (await admin.get(f"{user}/delegates"))["data"] == ["paul@example.org"]
    assert (await admin.get(f"{user}/sendas"))["data"] == ["y@example.com"]
    listed = await command("delegate", "list", "anna@example.org", "--send-as", "--json")
    assert listed.data == ["y@example.com"]
    await command("delegate", "remove", "anna@example.org", "y@example.com", "--send-as")
    assert "is no valid address" in (await command("delegate", "add", "anna@example.org", "nobody", code=2)).err


async def test_access(command: Command, admin: Api, domain: int) -> None:
    """Each member is done by itself."""
    added = await command("access", "add", "anna@example.org", "paul@example.org", "nobody@example.org", code=1)
    assert added.out == "paul@example.org may open the mailbox of anna@example.org\n"
    assert "nobody@example.org: " in added.err
    assert "paul@example.org" in (await command("access", "list", "anna@example.org")).out
    path = f"/domains/{domain}/users/1/storeAccess"
    assert (await command("access", "list", "anna@example.org", "--json")).data == (await admin.get(path))["data"]
    await command("access", "remove", "anna@example.org", "paul@example.org")
    assert (await admin.get(path))["data"] == []
    assert "has no access" in (await command("access", "remove", "anna@example.org", "paul@example.org", code=2)).err


async def test_somebody_else_changes_the_list(
    command: Command, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another has stored between reading and writing is kept: the list is read once more."""
    changes: list[int] = []

    def body(*args: Any) -> Any:
        if not changes:
            changes.append(1)
            change = admin.call("PATCH", f"/domains/{domain}/users/1", {"aliases": ["b@example.org"]})
            asyncio.run_coroutine_threadsafe(change, loop).result()
        return _body(*args)

    loop, _body = asyncio.get_running_loop(), lists._body
    monkeypatch.setattr(lists, "_body", body)
    await command("alias", "add", "anna@example.org", "a@example.org")
    assert (await admin.get(f"/domains/{domain}/users/1"))["aliases"] == ["b@example.org", "a@example.org"]
