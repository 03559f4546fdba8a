"""Accounts elsewhere: replaced as a whole, updated by ID, passwords never shown."""

from typing import Any

import pytest

from tests.support.service import Api, Service

ENTRY = {"srcServer": "mail.example.net", "srcUser": "jane", "srcPassword": "s3cret"}


@pytest.fixture
async def path(admin: Api, domain: int) -> str:
    """The path of a user with two entries."""
    user = await admin.make_user(domain, "jane", fetchmail=[ENTRY, {**ENTRY, "srcUser": "other", "keep": False}])
    return f"/domains/{domain}/users/{user['ID']}"


async def stored_passwords(service: Service) -> list[str]:
    """Passwords as the store has them."""
    return [
        row[0] for row in await service.context.database.fetch_all("SELECT src_password FROM fetchmail ORDER BY id")
    ]


async def test_defaults_and_no_password(admin: Api, path: str) -> None:
    """An entry comes back with every field but the password; the mailbox is the user's."""
    first, second = (await admin.get(path))["fetchmail"]
    assert "srcPassword" not in first
    assert first["mailbox"] == "jane@example.org"
    assert (first["keep"], second["keep"], first["protocol"], first["useSSL"]) == (True, False, "IMAP", True)


async def test_sent_back_as_read(admin: Api, service: Service, path: str) -> None:
    """The list can be sent back as it was read: nothing changes, and the passwords stay."""
    user = await admin.get(path)
    assert (await admin.patch(path, {"fetchmail": user["fetchmail"]}))["fetchmail"] == user["fetchmail"]
    assert await stored_passwords(service) == ["s3cret", "s3cret"]


async def test_update_add_and_remove(admin: Api, service: Service, path: str) -> None:
    """A known ID is updated, an entry without one added, one that is missing removed."""
    first, second = (await admin.get(path))["fetchmail"]
    changed = [{"ID": second["ID"], "active": False, "srcPassword": "new"}, {**ENTRY, "srcServer": "[::1]:143"}]
    after = (await admin.patch(path, {"fetchmail": changed}))["fetchmail"]
    assert after[0]["ID"] == second["ID"]
    assert first["ID"] not in [entry["ID"] for entry in after]
    assert (after[0]["active"], after[0]["srcUser"], after[1]["srcServer"]) == (False, "other", "[::1]:143")
    assert await stored_passwords(service) == ["new", "s3cret"]
    assert (await admin.patch(path, {"fetchmail": []}))["fetchmail"] == []


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"srcUser": "x", "srcPassword": "x"}, "srcServer"),
        ({"srcServer": "a.org", "srcPassword": "x"}, "srcUser"),
        ({"srcServer": "a.org", "srcUser": "x"}, "srcPassword"),
        ({**ENTRY, "srcServer": "a.org:0"}, "srcServer"),
        ({**ENTRY, "srcServer": "a.org:70000"}, "srcServer"),
        ({**ENTRY, "srcServer": "a.org\npassword x"}, "srcServer"),
        ({**ENTRY, "srcServer": "a org"}, "srcServer"),
        ({**ENTRY, "srcUser": 'a\nuser "b"'}, "srcUser"),
        ({**ENTRY, "extraOptions": "a\nb"}, "extraOptions"),
        ({**ENTRY, "protocol": "SMTP"}, "protocol"),
        ({**ENTRY, "srcAuth": "magic"}, "srcAuth"),
        ({**ENTRY, "active": 1}, "active"),
        ({**ENTRY, "sslFingerprint": "zz"}, "sslFingerprint"),
        ({**ENTRY, "sslFingerprint": "AA:BB\n"}, "sslFingerprint"),
        ({**ENTRY, "mailbox": "john@example.org"}, "mailbox"),
        ({**ENTRY, "date": "2020-01-01 00:00:00"}, "date"),
        ({**ENTRY, "date": "2020-02-30 00:00:00"}, "date"),
        ({**ENTRY, "ID": 999}, "ID"),
        ({**ENTRY, "ID": "1"}, "ID"),
        ({**ENTRY, "surprise": 1}, "surprise"),
        (5, "fetchmail.0"),
        (None, "fetchmail.0"),
    ],
)
async def test_wrong_entries(admin: Api, path: str, entry: Any, named: str) -> None:
    """A wrong entry is a 400 that names the field and shows no password; the list stays as it was."""
    before = await admin.get(path)
    reasons = await admin.refused(400, "PATCH", path, {"fetchmail": [entry]})
    assert named in reasons
    assert "s3cret" not in reasons
    assert await admin.get(path) == before


async def test_entry_of_another_user(admin: Api, domain: int, path: str) -> None:
    """An ID of somebody else's entry is unknown: nothing is taken over."""
    (entry, _) = (await admin.get(path))["fetchmail"]
    john = await admin.make_user(domain, "john")
    other = f"/domains/{domain}/users/{john['ID']}"
    assert "ID" in await admin.refused(400, "PATCH", other, {"fetchmail": [{**ENTRY, "ID": entry["ID"]}]})
    repeated = [{"ID": entry["ID"]}, {"ID": entry["ID"]}]
    assert "ID" in await admin.refused(400, "PATCH", path, {"fetchmail": repeated})
    assert len((await admin.get(path))["fetchmail"]) == 2


async def test_date_changes_with_the_entry(admin: Api, service: Service, path: str) -> None:
    """`date` is that of the last change, and a date that differs is refused."""

    def age(connection: Any) -> None:
        connection.execute("UPDATE fetchmail SET date = '2020-01-01 00:00:00'")

    await service.context.database.write(age)
    first, second = (await admin.get(path))["fetchmail"]
    after = (await admin.patch(path, {"fetchmail": [{**first, "keep": False}, second]}))["fetchmail"]
    assert after[0]["date"] > "2026"
    assert after[1]["date"] == "2020-01-01 00:00:00"
    wrong = {**second, "date": "2021-01-01 00:00:00"}
    assert "date" in await admin.refused(400, "PATCH", path, {"fetchmail": [wrong]})


async def test_mailbox_that_moves_or_goes(admin: Api, domain: int, path: str) -> None:
    """An entry follows the address it delivers to, in any case: to a new name, or from an alias to the name."""
    await admin.patch(path, {"aliases": ["j@example.org", "jd@example.org"]})
    first, second = (await admin.get(path))["fetchmail"]
    entries = [{"ID": first["ID"], "mailbox": "JANE@Example.org"}, {"ID": second["ID"], "mailbox": "J@example.org"}]
    await admin.patch(path, {"fetchmail": entries})

    async def mailboxes() -> list[str]:
        return [entry["mailbox"] for entry in (await admin.get(path))["fetchmail"]]

    await admin.patch(path, {"username": "janet"})
    assert await mailboxes() == ["janet@example.org", "J@example.org"]
    await admin.patch(path, {"aliases": ["jd@example.org"]})
    assert await mailboxes() == ["janet@example.org", "janet@example.org"]
    john = await admin.make_user(domain, "john", aliases=["j@example.org"])
    whole = await admin.get(path)
    assert await admin.patch(path, whole) == whole
    # The alias becomes the name, and the former name an alias: nothing is gone.
    await admin.patch(path, {"username": "jd", "aliases": ["janet@example.org"]})
    assert await mailboxes() == ["janet@example.org", "janet@example.org"]
    assert john["aliases"] == ["j@example.org"]


async def test_whole_user_with_another_address(admin: Api, path: str) -> None:
    """Who sends the whole user back with another name and fewer aliases need not change the entries as well."""
    await admin.patch(path, {"aliases": ["j@example.org"], "fetchmail": [{**ENTRY, "mailbox": "J@Example.org"}]})
    whole = await admin.get(path)
    after = await admin.patch(path, {**whole, "username": "janet", "aliases": []})
    assert [entry["mailbox"] for entry in after["fetchmail"]] == ["janet@example.org"]
