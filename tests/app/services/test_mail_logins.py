"""Logins of mail clients: who gets in with which protocol, and what a mail server is told otherwise."""

import asyncio
from typing import Any

import legacycrypt
import pytest

from postroom.app.auth import passwords
from postroom.app.services.mail_logins import MailLogin, verify
from postroom.testing import PASSWORD as DIRECTORY_PASSWORD
from postroom.testing import running
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service

PASSWORD = "her own one"
OK, MISMATCH, THROTTLED = MailLogin("ok", "anna@example.org"), MailLogin("mismatch"), MailLogin("throttled")


@pytest.fixture
async def anna(admin: Api) -> str:
    """Somebody with every name and privilege; the path."""
    domain = await admin.make_domain("example.org")
    body = {
        "username": "anna", "password": PASSWORD, "pop3_imap": True, "smtp": True,
        "aliases": ["a@example.org"], "altnames": [{"altname": "berg"}],
    }  # fmt: skip
    user = await admin.post(f"/domains/{domain}/users", body)
    return f"/domains/{domain}/users/{user['ID']}"


async def login(service: Service, name: str = "anna@example.org", password: str = PASSWORD, **more: str) -> MailLogin:
    """One login."""
    given = {"protocol": "imap", "source": "192.0.2.7", **more}
    return await verify(service.context, name, password, **given)


@pytest.mark.parametrize("name", ["anna@example.org", "ANNA@Example.org", "a@example.org", "Berg"])
@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp", "submission", "sieve", "IMAP"])
async def test_every_name_and_protocol(service: Service, anna: str, name: str, protocol: str) -> None:
    """Whoever may use a protocol gets in by each of their names, and is called by their username."""
    assert await login(service, name, protocol=protocol) == OK
    assert await login(service, name, "wrong", protocol=protocol) == MISMATCH


async def test_privileges(service: Service, admin: Api, anna: str) -> None:
    """Reading mail and sending it are allowed each on its own; a protocol that nobody knows is refused."""
    await admin.patch(anna, {"pop3_imap": False})
    refused = [await login(service, protocol=each) for each in ("imap", "pop3", "sieve", "", "lmtp", "ftp")]
    assert refused == [MISMATCH] * 6
    assert await login(service, protocol="smtp") == OK
    await admin.patch(anna, {"pop3_imap": True, "smtp": False})
    assert [await login(service, protocol=each) for each in ("imap", "smtp", "submission")] == [OK, MISMATCH, MISMATCH]


@pytest.mark.parametrize(
    ("path", "body"),
    [(None, {"status": 1}), (None, {"status": 3}), ("/system/domains/1", {"domainStatus": 1})],
)
async def test_the_suspended(service: Service, admin: Api, anna: str, path: str | None, body: Any) -> None:
    """A suspended or deleted user, and everybody of a suspended domain, are refused from the next login on."""
    assert await login(service) == OK
    await admin.patch(path or anna, body)
    assert await login(service) == MISMATCH


async def test_who_has_no_login(service: Service, admin: Api, anna: str) -> None:
    """Shared mailboxes, contacts, the administrator of the service and strangers have none, whatever they try."""
    domain = int(anna.split("/")[2])
    await admin.post(f"/domains/{domain}/users", {"username": "hall", "status": 4, "pop3_imap": True})
    await admin.post(f"/domains/{domain}/users", {"username": "c@example.net", "status": 5, "pop3_imap": True})
    for name in (
        "hall@example.org",
        "c@example.net",
        "contact-3",
        "admin",
        "nobody@example.org",
        "",
        "@",
        "\0",
        "\ud800",
    ):
        assert await login(service, name, ADMIN_PASSWORD) == MISMATCH


@pytest.mark.parametrize(
    "password", ["", "\0", f"{PASSWORD}\0", "x" * 513, "x" * 100_000, PASSWORD.upper(), f"{PASSWORD} "]
)
async def test_wrong_passwords(service: Service, anna: str, password: str) -> None:
    """No other text is the password."""
    assert await login(service, password=password) == MISMATCH


async def test_failures_are_slowed_down_and_not_called_wrong(start_service: StartService) -> None:
    """After too many failures even the right password has to wait; another source of the same user does not."""
    service = await start_service(login_failures=3)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    await admin.post(f"/domains/{domain}/users", {"username": "anna", "password": PASSWORD, "pop3_imap": True})
    assert await login(service, source="192.0.2.8") == OK
    assert [await login(service, password="wrong") for _ in range(3)] == [MISMATCH] * 3
    assert await login(service) == THROTTLED
    assert await login(service, source="192.0.2.8") == OK


async def test_a_webmail_does_not_lock_out_its_users(start_service: StartService) -> None:
    """All users of a program on this machine share its address: failures of one are not those of another."""
    service = await start_service(login_failures=2)
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    await admin.post(f"/domains/{domain}/users", {"username": "anna", "password": PASSWORD, "pop3_imap": True})
    for source in ("127.0.0.1", "::1", "", "/run/dovecot"):
        for number in range(20):
            assert await login(service, f"u{number}@example.org", "wrong", source=source) == MISMATCH
        assert await login(service, source=source) == OK


async def test_old_hashes_get_stronger(service: Service, anna: str) -> None:
    """A hash of another system is replaced at the first login, once, also if many come at the same time."""
    old = legacycrypt.crypt(PASSWORD, "$6$rounds=1000$saltsalt")
    database = service.context.database
    await database.write(lambda connection: connection.execute("UPDATE users SET password = ? WHERE id = 1", (old,)))
    assert await asyncio.gather(*(login(service) for _ in range(5))) == [OK] * 5
    stored = await database.fetch_value("SELECT password FROM users WHERE id = 1")
    assert stored.startswith("$argon2")
    assert await login(service) == OK


@pytest.fixture
def computed(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are computed from now on."""
    seen: list[str] = []
    verify = service.context.passwords.verify

    async def counting(stored: str | None, password: str) -> bool:
        seen.append(password)
        return await verify(stored, password)

    monkeypatch.setattr(service.context.passwords, "verify", counting)
    return seen


async def test_a_right_password_is_not_computed_each_time(service: Service, anna: str, computed: list[str]) -> None:
    """Mail clients log in all the time: by each name and protocol it is computed once, a wrong one each time."""
    for name in ("anna@example.org", "a@example.org", "berg"):
        assert [await login(service, name, protocol=each) for each in ("imap", "smtp")] == [OK, OK]
    assert [await login(service, password="wrong") for _ in range(2)] == [MISMATCH] * 2
    assert computed == [PASSWORD, "wrong", "wrong"]
    assert PASSWORD not in repr(vars(service.context.passwords))


async def test_what_is_remembered_ends_with_the_password(service: Service, admin: Api, anna: str) -> None:
    """The next login after a new password or a suspension is refused, however often it was right before."""
    assert [await login(service) for _ in range(2)] == [OK, OK]
    await admin.put(f"{anna}/password", {"new": "another one"})
    assert [await login(service), await login(service, password="another one")] == [MISMATCH, OK]
    await admin.put(f"{anna}/password", {"new": PASSWORD})
    assert [await login(service), await login(service, password="another one")] == [OK, MISMATCH]
    await admin.patch(anna, {"status": 1})
    assert await login(service) == MISMATCH


async def test_what_is_remembered_ends_with_time(
    service: Service, anna: str, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while a password is computed again."""
    monkeypatch.setattr(passwords, "REPEATED_FOR", 0.0)
    assert [await login(service) for _ in range(2)] == [OK, OK]
    assert computed == [PASSWORD, PASSWORD]


async def test_what_is_remembered_is_bounded(
    service: Service, anna: str, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest makes room, and is computed again."""
    monkeypatch.setattr(passwords, "_MOST_REPEATS", 1)
    path = f"/domains/{anna.split('/')[2]}/users"
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.post(path, {"username": "paul", "password": "pauls own", "pop3_imap": True})
    computed.clear()
    assert await login(service) == OK
    assert (await login(service, "paul@example.org", "pauls own")).outcome == "ok"
    assert await login(service) == OK
    assert computed == [PASSWORD, "pauls own", PASSWORD]


async def test_people_of_a_directory() -> None:
    """The directory checks their passwords; while it is away, nobody is told that a password is wrong."""
    async with running({"domains": ["example.org"]}) as server:
        server.directory.add("anna")
        await server.admin.put("/system/mconf/ldap", server.directory.config)
        await server.admin.post("/domains/1/ldap/downsync", None, {"import": "true", "timeout": 60})
        await server.admin.patch("/domains/1/users/1", {"pop3_imap": True})

        async def outcome(name: str, password: str) -> str:
            return (await verify(server.context, name, password, "imap", "192.0.2.7")).outcome

        name = "anna@example.org"
        assert [await outcome(name, each) for each in (DIRECTORY_PASSWORD, "wrong")] == ["ok", "mismatch"]
        server.directory.away = True
        assert [await outcome(each, "wrong") for each in (name, "nobody@example.org")] == ["temporary"] * 2
