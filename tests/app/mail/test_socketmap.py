"""Postfix's socketmap protocol: netstrings, maps, details, and keys that are none."""

import pytest

from postroom.app.mail.serving import BadRequestError
from postroom.app.mail.socketmap import MAPS, Socketmap
from postroom.app.services.context import Context
from postroom.app.services.mail import without_detail
from tests.support.service import Api, Service


@pytest.fixture
def context(service: Service) -> Context:
    """The parts of a running service."""
    return service.context


async def asked(context: Context, name: str, key: str | bytes) -> str:
    """The reply of a map, without the netstring around it."""
    talk = Socketmap(context)
    request = name.encode() + b" " + (key if isinstance(key, bytes) else key.encode())
    reply = bytearray(await talk.answer(request))
    text = talk.split(reply)
    assert text is not None
    assert not reply
    return text.decode()


async def test_maps(context: Context, admin: Api) -> None:
    """Each map answers as Postfix reads it; aliases and forwards are several addresses with commas."""
    domain = await admin.make_domain("example.org")
    anna = await admin.make_user(domain, "anna", aliases=["a@example.org"])
    await admin.make_user(domain, "bob")
    await admin.put(f"/domains/{domain}/users/{anna['ID']}/delegates", ["bob@example.org"])
    forward = {"forwardType": 0, "destination": "else@example.net"}
    await admin.patch(f"/domains/{domain}/users/{anna['ID']}", {"forward": forward})
    for name, key, reply in (
        ("domains", "example.org", "OK example.org"),
        ("domains", "example.net", "NOTFOUND "),
        ("mailboxes", "Anna@EXAMPLE.org", "OK anna@example.org"),
        ("mailboxes", "a@example.org", "NOTFOUND "),
        ("aliases", "a@example.org", "OK anna@example.org"),
        ("aliases", "anna@example.org", "OK anna@example.org,else@example.net"),
        ("aliases", "bob@example.org", "NOTFOUND "),
        ("senders", "a@example.org", "OK anna@example.org,bob@example.org"),
        ("senders", "nobody@example.org", "NOTFOUND "),
        ("nonsense", "example.org", "PERM there is no such map"),
    ):
        assert await asked(context, name, key) == reply, (name, key)


async def test_details(context: Context, admin: Api) -> None:
    """A detail leads to the mailbox without it, is kept on the way where it is ours, and not sent to others."""
    domain = await admin.make_domain("example.org")
    anna = await admin.make_user(domain, "anna", aliases=["a@example.org"])
    await admin.make_user(domain, "anna+own")
    forward = {"forwardType": 0, "destination": "else@example.net"}
    await admin.patch(f"/domains/{domain}/users/{anna['ID']}", {"forward": forward})
    for name, key, reply in (
        ("mailboxes", "anna+news@example.org", "OK anna@example.org"),
        ("mailboxes", "anna+own@example.org", "OK anna+own@example.org"),
        ("mailboxes", "nobody+news@example.org", "NOTFOUND "),
        ("aliases", "a+x+y@example.org", "OK anna+x+y@example.org"),
        ("aliases", "anna+news@example.org", "OK anna+news@example.org,else@example.net"),
        ("aliases", "anna+own@example.org", "OK anna+own@example.org"),
        ("senders", "a+news@example.org", "OK anna@example.org"),
        ("senders", "anna+own@example.org", "OK anna+own@example.org"),
    ):
        assert await asked(context, name, key) == reply, (name, key)


async def test_copies_to_a_detail_of_oneself(context: Context, admin: Api) -> None:
    """They end, or Postfix would ask for longer and longer details."""
    domain = await admin.make_domain("example.org")
    anna = await admin.make_user(domain, "anna")
    forward = {"forwardType": 0, "destination": "anna+copy@example.org"}
    await admin.patch(f"/domains/{domain}/users/{anna['ID']}", {"forward": forward})
    for key, reply in (
        ("anna@example.org", "OK anna@example.org,anna+copy@example.org"),
        ("anna+copy@example.org", "OK anna+copy@example.org"),
        ("anna+x@example.org", "OK anna+x@example.org,anna+copy@example.org"),
    ):
        assert await asked(context, "aliases", key) == reply


@pytest.mark.parametrize("name", [each.decode() for each in MAPS])
async def test_a_key_that_is_none_is_not_found(context: Context, admin: Api, name: str) -> None:
    """Whatever somebody may write as an address is no error, or all of their mail would wait."""
    await admin.make_user(await admin.make_domain("example.org"), "anna")
    keys: list[str | bytes] = [
        "", "@", "@@", " ", "+", "+@", "+@example.org", "@example.org", "anna", "anna@", "anna@@example.org",
        "anna@example.org@example.org", '"anna"@example.org', "'anna'@example.org", "anna@[127.0.0.1]", "%@%",
        "%s%n@example.org", "anna' OR 1=1 --@example.org", "anna@example.org,bob@example.org", "anna @example.org",
        "<anna@example.org>", "anna@example.org\n", "anna\0@example.org", "anna@exam\0ple.org", "ännä@example.org",
        "anna@\N{SNOWMAN}.example", "anna@xn--.org", "a" * 321, "a" * 100_000 + "@example.org", f"a@{'x.' * 9999}org",
        b"\xff\xfe@example.org", b"\xc3@example.org", "\ud800".encode("utf-8", "surrogatepass"),
    ]  # fmt: skip
    for key in keys:
        assert await asked(context, name, key) == "NOTFOUND ", key


def test_netstrings(context: Context) -> None:
    """They may come in any pieces; one that is none, or lies about its length, ends the connection."""
    talk, received = Socketmap(context), bytearray()
    for byte in b"3:a b,0:,":
        received.append(byte)
        if (found := talk.split(received)) is not None:
            assert found in (b"a b", b"")
            assert not received
    assert talk.split(received) is None
    for bad in (b"3:abcd", b"3:abc;", b"x", b"-1:", b":,", b"1 :a,", b"999999:", b"1234567", b"3;abc,", b"\0", b"\n"):
        with pytest.raises(BadRequestError):
            talk.split(bytearray(bad))


def test_a_failure_is_temporary(context: Context) -> None:
    """Postfix defers the message then, and bounces nothing."""
    for request in (b"mailboxes anna@example.org", b"nonsense x", b"", b"\xff"):
        assert Socketmap(context).failed(request) == b"28:TEMP no answer at the moment,"
    counted = dict(context.metrics.mail.collect())
    assert counted["postfix_mailboxes", "temporary"] == [1.0]
    assert counted["postfix_unknown", "temporary"] == [3.0]


def test_details_of_addresses() -> None:
    """The first plus sign begins the detail; what has no name before it has none."""
    assert without_detail("anna+a+b@example.org") == ("anna@example.org", "+a+b")
    assert without_detail("anna+@example.org") == ("anna@example.org", "+")
    for plain in ("anna@example.org", "+a@example.org", "anna+a", "@", ""):
        assert without_detail(plain) == (plain, "")
