"""What Dovecot asks: logins, mailboxes, and all of them."""

from typing import Any

import pytest

from postroom.app.mail.dovecot import Dovecot
from postroom.app.mail.fields import join_fields
from postroom.app.services.context import Context
from tests.support.service import USER_PASSWORD, Api, Service


@pytest.fixture
def context(service: Service) -> Context:
    """The parts of a running service."""
    return service.context


async def asked(context: Context, *fields: str) -> str:
    """The answer to a line with these fields, without its last line end."""
    return await answered(context, join_fields(*fields)[:-1])


async def answered(context: Context, line: bytes) -> str:
    """The answer to a line."""
    answer: Any = await Dovecot(context).answer(line)
    if not isinstance(answer, bytes):
        answer = b"".join([piece async for piece in answer])
    assert answer.endswith(b"\n")
    return str(answer[:-1].decode())


async def test_logins(context: Context, admin: Api) -> None:
    """The right password of somebody with the privilege is enough; nothing says why another is not."""
    await admin.make_user(await admin.make_domain("example.org"), "anna", pop3_imap=True)
    source = "192.0.2.1"
    assert await asked(context, "login", "Anna@example.org", USER_PASSWORD, "imap", source) == "ok\tanna@example.org"
    for name, password, protocol in (
        ("anna@example.org", "wrong", "imap"),
        ("anna@example.org", USER_PASSWORD, "smtp"),
        ("nobody@example.org", USER_PASSWORD, "imap"),
        ("anna@example.org", "", "imap"),
        ("\0\t\n", "\r\x01", "\t"),
    ):
        assert await asked(context, "login", name, password, protocol, source) == "mismatch"
    assert await answered(context, b"login\tanna@example.org\t\xff\timap\t192.0.2.1") == "mismatch"


async def test_users(context: Context, admin: Api) -> None:
    """A mailbox is described by what is not usual about it."""
    domain = await admin.make_domain("example.org")
    properties = {"storagequotalimit": 2048}
    user = await admin.make_user(
        domain, "anna", aliases=["a@example.org"], properties=properties, pop3_imap=True, smtp=True
    )
    await admin.make_user(domain, "eve", status=4)
    path = f"/domains/{domain}/users/{user['ID']}"
    folder = f"mailbox={domain}/{user['ID']}"
    for name in ("anna@example.org", "A@example.org"):
        assert await asked(context, "user", name) == f"ok\tanna@example.org\t{folder}\tquota_kib=2048"
    await admin.patch(path, {"status": 1, "pop3_imap": False, "smtp": False})
    assert (await asked(context, "user", "anna@example.org")).split("\t")[3:] == [
        "quota_kib=2048", "suspended=1", "pop3_imap=0", "smtp=0",
    ]  # fmt: skip
    for name in ("nobody@example.org", "", "@", "\0", "x" * 15_000, "' OR 1=1"):
        assert await asked(context, "user", name) == "unknown"
    assert await answered(context, b"user\t\xff") == "unknown"
    assert await asked(context, "users") == "anna@example.org\neve@example.org\n"


async def test_what_is_no_request(context: Context) -> None:
    """It cannot be answered, and is not taken for a wrong password or a missing user."""
    for line in (b"", b"\t", b"login", b"login\ta\tb", b"user", b"user\ta\tb", b"users\tx", b"USER\ta", b"\xff"):
        assert await answered(context, line) == "temporary\tthere is no such request"
    for line in (b"login\ta\tb\tc\td", b"user\ta", b"nonsense"):
        assert Dovecot(context).failed(line) == b"temporary\tno answer at the moment\n"
    # Whoever reads a list reads up to its empty line.
    assert Dovecot(context).failed(b"users") == b"temporary\tno answer at the moment\n\n"
