"""Accounts elsewhere: replaced as a whole, updated by ID, passwords never shown."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from postroom.schemas.fetchmail_options import FLAGS, NUMBERS
from postroom.storage.fetchmail import COLUMNS, list_fetchmail
from postroom.storage.sqlite import sqlite3
from tests.support.service import Api, Service

ENTRY = {"srcServer": "mail.example.net", "srcUser": "jane", "srcPassword": "s3cret"}


@pytest.fixture
async def path(admin: Api, domain: int) -> str:
    """The path of a user with two entries."""
    user = await admin.make_user(domain, "jane", fetchmail=[ENTRY, {**ENTRY, "srcUser": "other", "keep": False}])
    return f"/domains/{domain}/users/{user['ID']}"


async def stored_passwords(service: Service) -> list[str]:
    """Passwords as the store has them, decrypted."""
    entries = await service.context.database.read(list_fetchmail, 1)
    return [str(entries[entry_id]["srcPassword"]) for entry_id in sorted(entries)]


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


#: Changes by which somebody else would be told the password, or others could read it on its way.
REDIRECTIONS: list[dict[str, Any]] = [
    {"srcServer": "evil.example.net"},
    {"srcServer": "mail.example.net:1143"},
    {"srcUser": "mallory"},
    {"srcAuth": "any"},
    {"protocol": "POP3"},
    {"useSSL": False},
    {"sslCertCheck": True},
    {"sslCertPath": "/home/mallory"},
    {"sslFingerprint": "AA:BB"},
]


@pytest.mark.parametrize("change", REDIRECTIONS)
async def test_a_password_goes_only_where_it_was_meant_for(
    admin: Api, service: Service, path: str, change: dict[str, Any]
) -> None:
    """Who changes server, user or how the connection is kept safe enters the password again, in the same body."""
    first, second = (await admin.get(path))["fetchmail"]
    del first["date"]  # which changes with the entry
    for entry in ({**first, **change}, {"ID": first["ID"], **change}):
        reasons = await admin.refused(400, "PATCH", path, {"fetchmail": [entry, second]})
        assert "fetchmail.0.srcPassword" in reasons
        assert next(iter(change)) in reasons
    # Neither does a harmless change first, another entry's password, or an entry that is taken out and put in again.
    await admin.refused(400, "PATCH", path, {"fetchmail": [{**first, **change}, {**second, "srcPassword": "x"}]})
    await admin.patch(path, {"fetchmail": [{**first, "active": False, "srcFolder": "INBOX"}, second]})
    reasons = await admin.refused(400, "PATCH", path, {"fetchmail": [{**first, **change, "active": True}, second]})
    assert "fetchmail.0.srcPassword" in reasons
    copy = {name: value for name, value in first.items() if name != "ID"}
    await admin.refused(400, "PATCH", path, {"fetchmail": [first, second, {**copy, **change}]})
    users = path.rpartition("/")[0]
    other = {"username": "john", "password": "long enough", "fetchmail": [{**copy, **change}]}
    await admin.refused(400, "POST", users, other)
    await admin.refused(400, "POST", users, {**other, "fetchmail": [{**first, **change}]})
    assert await stored_passwords(service) == ["s3cret", "s3cret"]
    after = (await admin.patch(path, {"fetchmail": [{**first, **change, "srcPassword": "new"}, second]}))["fetchmail"]
    assert change.items() <= after[0].items()
    assert await stored_passwords(service) == ["new", "s3cret"]


def test_every_field_is_judged() -> None:
    """A new field is either one of those that need the password again, or is known to tell it to nobody."""
    redirecting = {name for change in REDIRECTIONS for name in change}
    harmless = {"mailbox", "active", "srcPassword", "srcFolder", "fetchall", "keep", "extraOptions"}
    assert redirecting | harmless == set(COLUMNS)
    assert not redirecting & harmless


DANGEROUS = [
    "preconnect 'touch /tmp/x'", "postconnect x", "mda /bin/sh", 'mda "/bin/sh"', "bsmtp /etc/passwd",
    "plugin x", "plugout x", "smtphost evil.net", "smtpaddress evil.net", "smtpname x@evil.net",
    "fetchdomains x", "lmtp", "no ssl", "ssl", "sslproto ''", "no sslcertck", "sslcertck", "sslcertpath /tmp",
    "sslcertfile /tmp/x", "sslfingerprint AA", "sslkey /x", "sslcert /x", "sslcommonname evil.net",
    "via evil.net", "auth password", "user x", "password x", "pass x", "is root here", "to root", "here",
    "there", "poll evil.net", "skip x", "defaults", "set logfile /etc/x", "principal x", "properties x",
    "esmtpname x", "esmtppassword x", "keep", "no keep", "flush", "limitflush", "fetchall", "envelope x",
    "monitor eth0", "interface x", "localdomains x", "aka x", "nokeepx", "limit", "limit x", "limit -1",
    "limit 1x", "limit 99999999999", "limit 5;mda x", "limit 5 mda x", "limit 5,mda x", "folder", "folder 'a'",
    'folder "a', 'folder "a" mda "x"', 'folder "a\\" mda "x"', "folder a;b", "folder |x", "rewrite mda x",
    "rewritemda x", "rewrite #", "# x", "no", "no no rewrite", "no limit 5", "ſtripcr", "limit ٣", "folder ä",
    "rewrite\u2028mda x", "REWRITE", "idle", "=", ";", ",", "\\",
]  # fmt: skip
HARMLESS = [
    *sorted(FLAGS), *[f"no {name}" for name in sorted(FLAGS)], *[f"{name} 12" for name in sorted(NUMBERS)],
    "folder INBOX", "folder INBOX.Spam", 'folder "Sent Items"', "folder INBOX,Junk", "folder a/b",
    "limit 50000 no rewrite folder INBOX expunge 10", " limit  5   stripcr ", "",
]  # fmt: skip


async def test_options_that_do_more(admin: Api, path: str) -> None:
    """Whatever is not known to be harmless is refused, with what is possible, for new entries and known ones."""
    first, second = (await admin.get(path))["fetchmail"]
    for options in DANGEROUS:
        for entry in ({**ENTRY, "extraOptions": options}, {**first, "srcPassword": "x", "extraOptions": options}):
            reasons = await admin.refused(400, "PATCH", path, {"fetchmail": [entry]})
            assert "fetchmail.0.extraOptions" in reasons, options
            assert "folder with a name" in reasons, options
        body = {"username": "john", "password": "long enough", "fetchmail": [{**ENTRY, "extraOptions": options}]}
        await admin.refused(400, "POST", path.rpartition("/")[0], body)
    assert (await admin.get(path))["fetchmail"] == [first, second]


async def test_options_that_are_harmless(admin: Api, path: str) -> None:
    """The others come back as they were put, and none of them needs the password again."""
    first, _ = (await admin.get(path))["fetchmail"]
    for options in [*HARMLESS, None]:
        after = await admin.patch(path, {"fetchmail": [{"ID": first["ID"], "extraOptions": options}]})
        assert after["fetchmail"][0]["extraOptions"] == options


async def change_stored(service: Service, column: str, value: str) -> None:
    """Writes into the first entry what the API would refuse."""

    def change(connection: sqlite3.Connection) -> None:
        connection.execute(f"UPDATE fetchmail SET {column} = ? WHERE id = 1", (value,))

    await service.context.database.write(change)


async def test_options_from_before(admin: Api, service: Service, path: str) -> None:
    """What is stored already can be sent back and taken out, and put nowhere else."""
    old = 'mda "/usr/bin/old"'
    await change_stored(service, "extra_options", old)
    user = await admin.get(path)
    assert await admin.patch(path, user) == user
    first, second = user["fetchmail"]
    await admin.patch(path, {"fetchmail": [{**first, "active": False}, second]})
    # Read again, because the date of an entry is that of its last change.
    first, second = (await admin.get(path))["fetchmail"]
    await admin.refused(400, "PATCH", path, {"fetchmail": [first, {**second, "extraOptions": old}]})
    await admin.patch(path, {"fetchmail": [{**first, "extraOptions": None}, second]})
    first, second = (await admin.get(path))["fetchmail"]
    await admin.refused(400, "PATCH", path, {"fetchmail": [{**first, "extraOptions": old}, second]})


async def test_mailbox_from_before(admin: Api, service: Service, path: str) -> None:
    """An entry for an address that is not the user's any more can be sent back as it was read."""
    await change_stored(service, "mailbox", "gone@far.net")
    user = await admin.get(path)
    assert await admin.patch(path, user) == user


def understood(tmp_path: Path, before: str, after: str) -> bool:
    """Whether fetchmail reads a file with options of the server, and others of the user."""
    path = tmp_path / "rc"
    path.write_text(
        f"poll mail.example.org protocol IMAP {before}\n"
        f'  user "jane" there with password "p" is "jane" here ssl {after}\n'
        "skip other.example.org protocol IMAP\n"
    )
    path.chmod(0o600)
    command = ["fetchmail", "--configdump", "--fetchmailrc", str(path)]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)
    assert "tmp/x" not in done.stdout
    return done.returncode == 0 and "other.example.org" in done.stdout


@pytest.mark.skipif(shutil.which("fetchmail") is None, reason="fetchmail is not installed")
@pytest.mark.parametrize("options", HARMLESS)
def test_fetchmail_itself_understands_them(tmp_path: Path, options: str) -> None:
    """fetchmail reads each of the options, in one of the two places for options, and nothing behind it is lost."""
    assert understood(tmp_path, "", options) or understood(tmp_path, options, "")
