"""What a mail server is told: who gets the mail, who may send, and what a mailbox is."""

import asyncio
import threading
from typing import Any

import pytest

from postroom.app.services import mail
from postroom.app.services.context import Context
from postroom.storage import mail as statements
from postroom.storage.engine import Connection
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service

ORG, COM, IDN = "example.org", "example.com", "müller.example"


@pytest.fixture
def context(service: Service) -> Context:
    """The parts of a running service."""
    return service.context


@pytest.fixture
async def domains(admin: Api) -> list[int]:
    """Three domains of one organisation, one of them with a name in Unicode."""
    org = (await admin.post("/system/orgs", {"name": "Acme"}))["ID"]
    bodies = [{"domainname": name, "maxUser": 500, "orgID": org} for name in (ORG, COM, IDN)]
    return [(await admin.post("/system/domains", body))["ID"] for body in bodies]


async def make(admin: Api, domain: int, name: str, **fields: Any) -> str:
    """Creates a user; the path."""
    body = {"username": name, **({} if fields.get("status", 0) > 1 else {"password": "correct horse"}), **fields}
    user = await admin.post(f"/domains/{domain}/users", body)
    return f"/domains/{domain}/users/{user['ID']}"


async def redirect(admin: Api, path: str, destination: str, kind: int = statements.REDIRECT) -> None:
    """Gives a user a forward."""
    await admin.patch(path, {"forward": {"forwardType": kind, "destination": destination}})


async def test_domains(context: Context, admin: Api, domains: list[int]) -> None:
    """A domain is known in any spelling, until it is suspended or deleted."""
    for name in (ORG, "EXAMPLE.org", IDN, "MÜLLER.example", "xn--mller-kva.example"):
        assert await mail.has_domain(context, name)
    assert not await mail.has_domain(context, "example.net")
    await admin.patch(f"/system/domains/{domains[0]}", {"domainStatus": 1})
    assert not await mail.has_domain(context, ORG)
    await admin.delete(f"/system/domains/{domains[1]}")
    assert not await mail.has_domain(context, COM)


async def test_mailboxes(context: Context, admin: Api, domains: list[int]) -> None:
    """People and shared mailboxes have one under their username alone; the suspended and contacts have none."""
    await make(admin, domains[0], "anna", aliases=["a@example.org"], altnames=[{"altname": "berg"}])
    await make(admin, domains[2], "jörg")
    await make(admin, domains[0], "hall", status=4)
    await make(admin, domains[0], "away", status=1)
    await make(admin, domains[0], "carl@elsewhere.example", status=5)
    assert await mail.find_mailbox(context, "ANNA@Example.ORG") == "anna@example.org"
    assert await mail.find_mailbox(context, "Jörg@müller.example") == "jörg@xn--mller-kva.example"
    assert await mail.find_mailbox(context, "hall@example.org") == "hall@example.org"
    for name in ("a@example.org", "berg", "away@example.org", "carl@elsewhere.example", "contact-5", "admin", "@"):
        assert await mail.find_mailbox(context, name) is None, name
    await admin.patch(f"/system/domains/{domains[0]}", {"domainStatus": 1})
    assert await mail.find_mailbox(context, "anna@example.org") is None


async def test_targets(context: Context, admin: Api, domains: list[int]) -> None:
    """An alias leads to its mailbox, a copy besides it, a redirect away from it."""
    anna = await make(admin, domains[0], "anna", aliases=["a@example.com"])
    await make(admin, domains[0], "hall", status=4, aliases=["info@example.org"])
    await make(admin, domains[0], "carl@elsewhere.example", status=5, aliases=["carl@example.org"])
    assert await mail.list_targets(context, "a@example.com") == ("anna@example.org",)
    assert await mail.list_targets(context, "INFO@example.org") == ("hall@example.org",)
    assert await mail.list_targets(context, "carl@example.org") == ("carl@elsewhere.example",)
    assert await mail.list_targets(context, "anna@example.org") == ()
    await redirect(admin, anna, "else@example.net", kind=0)
    assert await mail.list_targets(context, "anna@example.org") == ("anna@example.org", "else@example.net")
    await redirect(admin, anna, "else@example.net")
    assert await mail.list_targets(context, "anna@example.org") == ("else@example.net",)
    assert await mail.list_targets(context, "a@example.com") == ("anna@example.org",)
    await admin.patch(anna, {"status": 1})
    assert (
        await mail.list_targets(context, "anna@example.org") == await mail.list_targets(context, "a@example.com") == ()
    )


async def expanded(context: Context, address: str) -> set[str]:
    """Where a mail server that asks again and again delivers in the end."""
    seen, waiting, ends = set(), [address], set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        targets = await mail.list_targets(context, current)
        waiting += targets
        if not targets or current in targets:
            ends.add(current)
    return ends


@pytest.mark.parametrize("length", [1, 2, 3, 40])
async def test_circles_of_redirects(context: Context, admin: Api, domains: list[int], length: int) -> None:
    """Nothing is lost in them: whoever is part of one keeps the mail; who only leads to it still redirects."""
    paths = [await make(admin, domains[number % 2], f"u{number}") for number in range(length)]
    names = [(await admin.get(path))["username"] for path in paths]
    for number, path in enumerate(paths):
        await redirect(admin, path, names[(number + 1) % length])
    outside = await make(admin, domains[2], "outside", aliases=["o@example.org"])
    await redirect(admin, outside, names[0])
    for name in names:
        assert await mail.list_targets(context, name) == (name,)
    assert await expanded(context, "o@example.org") == {names[0]}
    found = await statements.select_addressee(context.database, names[0])
    assert found is not None
    assert [each.username for each in await mail.list_circle(context, found)] == names


async def test_a_long_chain(context: Context, admin: Api, domains: list[int]) -> None:
    """A hundred redirects lead to their end, also by way of copies back to the beginning."""
    for number in range(100):
        await redirect(admin, await make(admin, domains[0], f"u{number}"), f"u{number + 1}@example.org")
    await redirect(admin, await make(admin, domains[0], "u100"), "u0@example.org", kind=0)
    assert await expanded(context, "u0@example.org") == {"u100@example.org"}


async def test_aliases_in_a_suspended_domain(context: Context, admin: Api, domains: list[int]) -> None:
    """They get no mail and are nobody's sender, although their user is active; the username goes on."""
    await make(admin, domains[0], "anna", aliases=["a@example.com"])
    assert await mail.list_senders(context, "a@example.com") == ("anna@example.org",)
    await admin.patch(f"/system/domains/{domains[1]}", {"domainStatus": 1})
    assert await mail.list_targets(context, "a@example.com") == ()
    assert await mail.list_senders(context, "a@example.com") == ()
    assert await mail.find_mailbox(context, "anna@example.org") == "anna@example.org"
    assert await mail.list_senders(context, "anna@example.org") == ("anna@example.org",)


async def test_circles_through_contacts(context: Context, admin: Api, domains: list[int]) -> None:
    """A mailbox on the way keeps the mail; contacts who pass it on to each other are not found."""
    anna = await make(admin, domains[0], "anna")
    await make(admin, domains[1], "anna@example.org", status=5, aliases=["c@example.com"])
    await make(admin, domains[0], "two@example.org", status=5, aliases=["one@example.org"])
    await make(admin, domains[0], "one@example.org", status=5, aliases=["two@example.org"])
    await make(admin, domains[0], "one@example.org", status=5, aliases=["three@example.org"])
    await redirect(admin, anna, "c@example.com")
    assert await mail.list_targets(context, "anna@example.org") == ("anna@example.org",)
    assert await mail.list_targets(context, "c@example.com") == ("anna@example.org",)
    for name in ("one@example.org", "two@example.org"):
        assert await mail.list_targets(context, name) == ()
    assert await mail.list_targets(context, "three@example.org") == ("one@example.org",)


async def test_circles_through_details(context: Context, admin: Api, domains: list[int]) -> None:
    """An address with a detail leads back just as well, unless somebody else has exactly that address."""
    anna = await make(admin, domains[0], "anna")
    await redirect(admin, anna, "anna+lists@example.org")
    assert await mail.list_targets(context, "anna@example.org") == ("anna@example.org",)
    await make(admin, domains[0], "anna+lists")
    assert await mail.list_targets(context, "anna@example.org") == ("anna+lists@example.org",)


@pytest.mark.parametrize("text", ["", "carl", "a@b@c", "a@b.org, x@c.org", "a@b.org\nx@c.org", "x" * 400])
async def test_contacts_without_an_address(context: Context, admin: Api, domains: list[int], text: str) -> None:
    """What a contact has for an address may be any text: if it is none, the contact gets no mail."""
    await make(admin, domains[0], "carl@elsewhere.example", status=5, aliases=["carl@example.org"])
    contact = await mail.find_addressee(context, "carl@example.org")
    assert contact is not None
    await admin.patch(f"/domains/{domains[0]}/users/{contact.id}", {"properties": {"smtpaddress": text}})
    assert await mail.list_targets(context, "carl@example.org") == ()


async def test_a_domain_given_to_another_organisation(context: Context, admin: Api, domains: list[int]) -> None:
    """What its people had in the domains of the old one ends with the move: names, grants, access."""
    await make(admin, domains[0], "anna", aliases=["a@example.com"])
    bert = await make(admin, domains[1], "bert")
    await admin.put(f"{bert}/sendas", ["anna@example.org"])
    await admin.post(f"{bert}/storeAccess", {"username": "anna@example.org"})
    other = (await admin.post("/system/orgs", {"name": "Other"}))["ID"]
    await admin.patch(f"/system/domains/{domains[0]}", {"orgID": other})
    assert await mail.list_targets(context, "a@example.com") == ()
    assert await mail.list_senders(context, "bert@example.com") == ("bert@example.com",)
    account = await mail.find_account(context, "anna@example.org")
    assert account is not None
    assert account.opens == []


async def test_senders(context: Context, admin: Api, domains: list[int]) -> None:
    """Whoever has an address, delegates and those who may send as: by username, under each of its addresses."""
    anna = await make(admin, domains[0], "anna", aliases=["a@example.com"])
    bert = await make(admin, domains[1], "bert", aliases=["b@example.org"])
    hall = await make(admin, domains[0], "hall", status=4)
    await make(admin, domains[0], "dora")
    await admin.put(f"{anna}/delegates", ["b@example.org", "nobody@example.net", "hall@example.org"])
    await admin.put(f"{anna}/sendas", ["dora@example.org"])
    await admin.put(f"{hall}/sendas", ["anna@example.org"])
    everybody = ("anna@example.org", "bert@example.com", "dora@example.org")
    assert await mail.list_senders(context, "anna@example.org") == everybody
    assert await mail.list_senders(context, "A@example.com") == everybody
    assert await mail.list_senders(context, "hall@example.org") == ("anna@example.org",)
    assert await mail.list_senders(context, "nobody@example.net") == ()
    await admin.patch(bert, {"status": 1})
    assert await mail.list_senders(context, "anna@example.org") == ("anna@example.org", "dora@example.org")
    await admin.patch(anna, {"status": 1})
    assert await mail.list_senders(context, "anna@example.org") == ()


async def test_accounts(context: Context, admin: Api, domains: list[int]) -> None:
    """A mailbox is found by every name; it has a folder that outlives a rename, a limit, and what its user may open."""
    anna = await make(admin, domains[0], "anna", aliases=["a@example.com"], altnames=[{"altname": "berg"}], smtp=True)
    hall = await make(admin, domains[0], "hall", status=4)
    await admin.put(f"{hall}/storeAccess", {"usernames": ["anna@example.org"]})
    await admin.patch(anna, {"properties": {"storagequotalimit": 2048, "prohibitreceivequota": 1024}})
    (found,) = {repr(await mail.find_account(context, name)) for name in ("anna@EXAMPLE.org", "a@example.com", "Berg")}
    account = await mail.find_account(context, "berg")
    assert (account is not None, repr(account)) == (True, found)
    assert account is not None
    assert (account.limit, account.opens, account.smtp, account.pop3_imap) == (1024, ["hall@example.org"], True, False)
    await admin.patch(anna, {"username": "/etc/anna", "status": 1})
    renamed = await mail.find_account(context, "berg")
    assert renamed is not None
    assert mail.folder_of(renamed) == mail.folder_of(account) == anna.replace("/domains/", "").replace("/users/", "/")
    assert (renamed.username, renamed.is_active, account.is_active) == ("/etc/anna@example.org", False, True)
    assert [name async for name in mail.iterate_accounts(context)] == ["/etc/anna@example.org", "hall@example.org"]


async def test_all_pages_of_mailboxes(context: Context, admin: Api, domains: list[int], monkeypatch: Any) -> None:
    """Every mailbox is listed once, whatever the size of a page."""
    names = [f"u{number}@example.org" for number in range(7)]
    for name in names:
        await make(admin, domains[0], name)
    monkeypatch.setattr(statements, "_MAILBOXES", statements._MAILBOXES.replace("LIMIT 1000", "LIMIT 3"))
    assert [name async for name in mail.iterate_accounts(context)] == names


STRANGE = [
    "", "@", "a", "a@", "@b", "a@b@c", "'@example.org", '"@example.org', "%@example.org", "_@example.org", "*",
    "x' OR '1'='1@example.org", "a" * 400, f"{'a' * 64}@{'b' * 300}", "a\0@example.org", "\0", "a\n@example.org",
    "\ud800@example.org", "a@\ud800", "..@example.org", "../x@example.org", "\u202e@example.org", "xn--@xn--",
]  # fmt: skip


@pytest.mark.parametrize("key", STRANGE)
async def test_strange_keys_are_not_found(context: Context, admin: Api, domains: list[int], key: str) -> None:
    """No key is an error."""
    assert not await mail.has_domain(context, key)
    assert await mail.find_mailbox(context, key) is None
    assert await mail.list_targets(context, key) == ()
    assert await mail.list_senders(context, key) == ()
    assert await mail.find_account(context, key) is None


async def test_questions_do_not_wait_for_the_writer(start_service: StartService, shared_store: dict[str, Any]) -> None:
    """They are answered, as of the last commit, while somebody else writes."""
    service = await start_service(**shared_store)
    context, admin = service.context, await service.login("admin", ADMIN_PASSWORD)
    await make(admin, await admin.make_domain(ORG), "anna", aliases=["a@example.org"])
    begun, go_on = threading.Event(), threading.Event()

    def rename(connection: Connection) -> None:
        connection.execute("UPDATE addresses SET key = 'b@example.org' WHERE key = 'a@example.org'")
        begun.set()
        assert go_on.wait(60)

    writing = asyncio.create_task(context.database.write(rename))
    try:
        assert await asyncio.to_thread(begun.wait, 60)
        assert await mail.has_domain(context, ORG)
        assert await mail.find_mailbox(context, "anna@example.org") == "anna@example.org"
        assert await mail.list_targets(context, "a@example.org") == ("anna@example.org",)
        assert await mail.list_targets(context, "b@example.org") == ()
        assert await mail.list_senders(context, "a@example.org") == ("anna@example.org",)
        assert await mail.find_account(context, "a@example.org") is not None
        assert not writing.done()
    finally:
        go_on.set()
        await writing
    assert await mail.list_targets(context, "b@example.org") == ("anna@example.org",)


STATEMENTS = ["_ADDRESSEE", "_SENDERS", "_MAILBOX"]


@pytest.mark.sqlite
@pytest.mark.parametrize("statement", STATEMENTS)
async def test_statements_find_by_key(context: Context, statement: str) -> None:
    """No statement reads a table, however many users there are."""
    sql = getattr(statements, statement)
    lines = [row[3] for row in await context.database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", ["x"] * sql.count("?"))]
    assert not [line for line in lines if line.startswith("SCAN") and line.split()[1] not in ("found", "opened")], lines
