"""Mail through a real Postfix and a real Dovecot that ask a real service: what is stored happens at once."""

import imaplib
import os
import poplib
import smtplib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.app.test_cli import Running
from tests.support.mail_servers import GROUP, MailServers, mail_servers
from tests.support.mail_sockets import PASSWORD, Admin, serving_mail
from tests.support.mailing import Person, arrives, refused
from tests.support.waiting import until

pytestmark = [
    pytest.mark.mail,
    pytest.mark.skipif(os.getuid() != 0, reason="Postfix is started by root only"),
]

#: Keys that are nobody's, as far as SMTP can carry them.
KEYS = (
    "o'neil@keys.example", '"an\\"na"@keys.example', '"a@b"@keys.example', "a%s%d@keys.example", "%u@keys.example",
    "x' OR 1=1 --@keys.example".replace(" ", ""), "-@keys.example", f"{'x' * 64}@keys.example", "*@keys.example",
    "$(id)@keys.example",
)  # fmt: skip


@pytest.fixture(scope="module")
def servers() -> Iterator[MailServers]:
    """Both servers."""
    with mail_servers() as found:
        yield found


@pytest.fixture(scope="module")
def running(servers: MailServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service that they ask; `folder` has its database."""
    settings = {
        "POSTROOM_MAIL_SOCKETS": str(servers.places.sockets), "POSTROOM_MAIL_POSTFIX_GROUP": "postfix",
        "POSTROOM_MAIL_DOVECOT_GROUP": GROUP, "POSTROOM_DATABASE": str(store(tmp_path_factory)),
    }  # fmt: skip
    with serving_mail(store(tmp_path_factory).parent, **settings) as found:
        yield found


def store(factory: pytest.TempPathFactory) -> Path:
    """The database of the service."""
    folder = factory.getbasetemp() / "service"
    folder.mkdir(exist_ok=True)
    return folder / "store.sqlite3"


@pytest.fixture
async def admin(running: Running) -> AsyncIterator[Admin]:
    """The administrator of the service."""
    async with Admin(running) as found:
        yield found


async def made(admin: Admin, domain: str, name: str, **fields: object) -> str:
    """The path of a new user who may send and read mail."""
    return await admin.user(domain, name, **{"smtp": True, "pop3_imap": True, **fields})


async def test_a_new_user_sends_receives_and_reads(servers: MailServers, admin: Admin) -> None:
    """At once, with STARTTLS and with TLS, IMAP and POP3, by a further login name, too; not with a wrong password."""
    domain = await admin.domain("new.example")
    await made(admin, domain, "anna", altnames=[{"altname": "anna-login"}])
    await made(admin, domain, "bob")
    anna, bob = Person(servers, "anna-login"), Person(servers, "Bob@New.Example")
    anna.sends("BOB+news@new.example", "hello", "anna@new.example")
    assert bob.has("hello")
    with bob.pop3() as pop3:
        assert pop3.stat()[0] == 1
    with Person(servers, "bob@new.example").submission(tls=True) as smtp:
        smtp.sendmail("bob@new.example", "anna@new.example", "Subject: over TLS\n\n")
    assert anna.has("over TLS")
    wrong = Person(servers, "bob@new.example", "wrong")
    assert refused(wrong.sends, "anna@new.example", "no") == 535
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        wrong.reads()
    assert "auth succeeded" in servers.doveadm("auth", "test", "-x", "service=imap", "anna@new.example", PASSWORD)
    assert "/mail/" in servers.doveadm("user", "-f", "home", "anna@new.example")
    assert {"anna@new.example", "bob@new.example"} <= set(servers.doveadm("user", "*").split())


async def test_addresses(servers: MailServers, admin: Admin) -> None:
    """Aliases, forwards with and without a copy, contacts and shared mailboxes; unknown ones are refused."""
    domain = await admin.domain("addresses.example")
    await made(admin, domain, "anna", aliases=["info@addresses.example"])
    copies = await made(admin, domain, "copies")
    redirects = await made(admin, domain, "redirects")
    await admin.call("PATCH", copies, {"forward": {"forwardType": 0, "destination": "far@away.example"}})
    await admin.call("PATCH", redirects, {"forward": {"forwardType": 1, "destination": "anna@addresses.example"}})
    contact = {"status": 5, "properties": {"smtpaddress": "contact@away.example"}}
    await admin.call("POST", f"{domain}/users", {**contact, "aliases": ["contact@addresses.example"]})
    shared = await admin.user(domain, "shared", status=4, aliases=["desk@addresses.example"])
    await admin.call("POST", f"{shared}/storeAccess", {"username": "anna@addresses.example"})
    for name in ("info", "copies", "redirects", "contact", "desk"):
        arrives(servers, f"{name}@addresses.example", f"for {name}")
    anna = Person(servers, "anna@addresses.example")
    assert anna.has("for info")
    assert anna.has("for redirects")
    assert anna.has("for desk", "Shared/shared@addresses.example")
    assert Person(servers, "copies@addresses.example").has("for copies")
    assert Person(servers, "redirects@addresses.example").reads() == []
    await until(lambda: "for copies" in servers.sent() and "for contact" in servers.sent(), 60)
    assert "<contact@away.example>" in servers.log()
    assert refused(arrives, servers, "nobody@addresses.example", "no") == 550
    assert refused(arrives, servers, "somebody@unknown.example", "no") == 554


async def test_senders(servers: MailServers, admin: Admin) -> None:
    """One's own addresses, and those of others with a grant, as long as there is one."""
    domain = await admin.domain("senders.example")
    owner = await made(admin, domain, "owner", aliases=["boss@senders.example"])
    await made(admin, domain, "anna", aliases=["ann@senders.example"])
    anna = Person(servers, "anna@senders.example")
    to = "owner@senders.example"
    anna.sends(to, "own alias", "ann@senders.example")
    for sender in (to, "boss@senders.example", "nobody@senders.example"):
        assert refused(anna.sends, to, "no", sender) == 553
    for grant in ("sendas", "delegates"):
        await admin.call("PUT", f"{owner}/{grant}", ["anna@senders.example"])
        anna.sends(to, f"{grant} works", "boss@senders.example")
        await admin.call("PUT", f"{owner}/{grant}", [])
        assert refused(anna.sends, to, "no", "boss@senders.example") == 553
    for subject in ("own alias", "sendas works", "delegates works"):
        assert Person(servers, to).has(subject)


async def test_store_access(servers: MailServers, admin: Admin) -> None:
    """A grant shows the mailbox in the other's client, with all of its folders, until it is taken back."""
    domain = await admin.domain("stores.example")
    owner = await made(admin, domain, "owner")
    await made(admin, domain, "anna")
    anna, theirs = Person(servers, "anna@stores.example"), "Shared/owner@stores.example"
    with Person(servers, "owner@stores.example").imap() as imap:
        imap.create("Projects")
    assert not [each for each in anna.mailboxes() if "Shared" in each]
    await admin.call("POST", f"{owner}/storeAccess", {"username": "anna@stores.example"})
    arrives(servers, "owner@stores.example", "for both")
    assert anna.has("for both", theirs)
    assert f"{theirs}/Projects" in anna.mailboxes()
    with anna.imap() as imap:
        imap.append(f"{theirs}/Projects", "", "", b"Subject: from anna\r\n\r\n")
    assert Person(servers, "owner@stores.example").reads("Projects") == ["from anna"]
    await admin.call("DELETE", f"{owner}/storeAccess/anna@stores.example")
    assert anna.reads(theirs) == []


async def test_suspension(servers: MailServers, admin: Admin) -> None:
    """Of a user and of a domain: no login, no mail in, nothing sent; all of it is back afterwards."""
    domain = await admin.domain("suspended.example")
    user = await made(admin, domain, "anna")
    anna = Person(servers, "anna@suspended.example")
    for path, fields in ((user, {"status": 1}), (f"/system{domain}", {"domainStatus": 1})):
        anna.sends("anna@suspended.example", f"before {fields}")
        assert anna.has(f"before {fields}")
        await admin.call("PATCH", path, fields)
        assert refused(anna.sends, "x@elsewhere.example", "no") == 535
        assert refused(arrives, servers, "anna@suspended.example", "no") in (550, 554)
        for log_in in (anna.imap, anna.pop3):
            with pytest.raises((imaplib.IMAP4.error, poplib.error_proto), match="Authentication failed"), log_in():
                pass
        await admin.call("PATCH", path, dict.fromkeys(fields, 0))


async def test_privileges(servers: MailServers, admin: Admin) -> None:
    """Each protocol needs its own."""
    domain = await admin.domain("privileges.example")
    await made(admin, domain, "sends", pop3_imap=False)
    await made(admin, domain, "reads", smtp=False)
    sends, reads = Person(servers, "sends@privileges.example"), Person(servers, "reads@privileges.example")
    sends.sends("reads@privileges.example", "one way")
    assert reads.has("one way")
    assert refused(reads.sends, "sends@privileges.example", "no") == 535
    for log_in in (sends.imap, sends.pop3):
        with pytest.raises((imaplib.IMAP4.error, poplib.error_proto), match="Authentication failed"), log_in():
            pass


async def test_quota(servers: MailServers, admin: Admin) -> None:
    """Whoever's mailbox is full is refused at RCPT; a larger quota takes effect at once."""
    domain = await admin.domain("quota.example")
    user = await made(admin, domain, "anna", properties={"storagequotalimit": 30})
    arrives(servers, "anna@quota.example", "fits", size=20_000)
    anna = Person(servers, "anna@quota.example")
    assert anna.has("fits")
    with anna.imap() as imap:
        assert "(STORAGE" in str(imap.getquotaroot("INBOX"))
        assert " 30)" in str(imap.getquotaroot("INBOX"))
    assert refused(arrives, servers, "anna@quota.example", "no", size=20_000) == 552
    await admin.call("PATCH", user, {"properties": {"storagequotalimit": 100}})
    arrives(servers, "anna@quota.example", "fits now", size=20_000)
    assert anna.has("fits now")


async def test_out_of_office(servers: MailServers, admin: Admin) -> None:
    """Who writes gets the reply, and the mailbox the message; a change shows at the next message."""
    domain = await admin.domain("away.example")
    user = await made(admin, domain, "anna")
    await made(admin, domain, "bob")
    bob = Person(servers, "bob@away.example")
    bob.sends("anna@away.example", "before")
    for number in (1, 2):
        reply = {"state": 1, "internalSubject": f"Away {number}", "internalReply": "Back on Monday"}
        await admin.call("PUT", f"{user}/oof", {**reply, "externalAudience": 0})
        bob.sends("anna@away.example", f"question {number}")
        assert bob.has(f"Away {number}")
        assert Person(servers, "anna@away.example").has(f"question {number}")
    assert Person(servers, "anna@away.example").has("before")


async def test_keys_that_are_nobody(servers: MailServers, admin: Admin) -> None:
    """They are refused for good or arrive; nothing is deferred, nothing bounces, and the log has no complaint."""
    domain = await admin.domain("keys.example")
    await made(admin, domain, "o'neil")
    await made(admin, domain, "anna")
    begin = len(servers.log())
    codes = {key: refused(arrives, servers, key, "key") for key in KEYS}
    assert codes.pop("o'neil@keys.example") == 0
    assert set(codes.values()) <= {550, 501, 553, 554}, codes
    for name in ("o'neil@keys.example", "%u", "anna@keys.example@x", '"', "a" * 500, "\\", "*", "änna@keys.example"):
        with suppress(UnicodeEncodeError, imaplib.IMAP4.error, smtplib.SMTPException):
            Person(servers, name, "wrong").reads()
    assert Person(servers, "o'neil@keys.example").has("key")
    complaints = ("warning: proxy", "bounced", "deferred", "Error:")
    assert not [line for line in servers.log()[begin:].splitlines() if any(each in line for each in complaints)]


async def test_no_answer_is_temporary(
    servers: MailServers, admin: Admin, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """While the database is away, each login and each message is told to come again."""
    domain = await admin.domain("gone.example")
    await made(admin, domain, "anna")
    anna = Person(servers, "anna@gone.example")
    path = store(tmp_path_factory)
    path.rename(path.with_name("elsewhere"))
    try:
        await until(lambda: refused(arrives, servers, "anna@gone.example", "later") == 451)
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            anna.reads()
        # Postfix waits for 10 seconds first.
        assert refused(anna.authenticates) == 454
        assert "lookup failed" in servers.doveadm("user", "anna@gone.example")
    finally:
        path.with_name("elsewhere").rename(path)
    await until(lambda: refused(arrives, servers, "anna@gone.example", "back again") == 0)
    await until(anna.logs_in)
    assert anna.has("back again")
