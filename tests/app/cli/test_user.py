"""postroom user: each command at both places, beside a running service that knows of it at once."""

import pytest

from tests.support.commands import Command
from tests.support.service import USER_PASSWORD, Api


@pytest.fixture
async def domain(admin: Api) -> int:
    """The domain example.org."""
    return await admin.make_domain("example.org")


async def test_a_whole_life(command: Command, admin: Api, domain: int) -> None:
    """A user is created, shown, listed, changed, renamed, suspended, activated and deleted by name."""
    users = f"/domains/{domain}/users"
    made = await command(
        "user", "create", "anna@example.org", "--name", "Anna Schmidt", "--quota", "10G", "--alias", "a@example.org",
        "--allow", "SMTP", "--property", "title=Manager", "--password-stdin", given=f"{USER_PASSWORD}\n",
    )  # fmt: skip
    assert made.out == "anna@example.org has been created\n"
    (user,) = (await admin.get(users, params={"level": 2}))["data"]
    assert (user["aliases"], user["smtp"], user["status"]) == (["a@example.org"], True, 0)
    assert user["properties"]["displayname"] == "Anna Schmidt"
    assert user["properties"]["title"] == "Manager"
    assert user["properties"]["storagequotalimit"] == 10 * 1024 * 1024
    shown = (await command("user", "show", "A@Example.org")).out
    assert "Anna Schmidt" in shown
    assert "active" in shown
    assert (await command("user", "show", "anna@example.org", "--json")).data == await admin.get(f"{users}/1")
    listed = await command("user", "list", "example.org")
    assert listed.out.splitlines() == [
        "ADDRESS           NAME          STATUS  DIRECTORY",
        "anna@example.org  Anna Schmidt  active  no       ",
    ]
    assert listed.err == "1 of 1 users\n"
    await command("user", "set", "anna@example.org", "--lang", "de_DE", "--deny", "smtp", "--property", "title=")
    await command("user", "set", "anna@example.org", "--copy-to", "b@example.org")
    user = await admin.get(f"{users}/1")
    assert (user["lang"], user["smtp"], user["forward"]) == (
        "de_DE", False, {"forwardType": 0, "destination": "b@example.org"}
    )  # fmt: skip
    assert "title" not in user["properties"]
    renamed = await command("user", "rename", "anna@example.org", "anna.schmidt@example.org")
    assert renamed.out == "anna@example.org is called anna.schmidt@example.org now\n"
    assert (await command("user", "suspend", "anna.schmidt@example.org")).out == (
        "anna.schmidt@example.org is suspended now\n"
    )
    assert (await admin.get(f"{users}/1"))["status"] == 1
    assert "already" in (await command("user", "suspend", "anna.schmidt@example.org")).out
    await command("user", "activate", "anna.schmidt@example.org")
    assert (await admin.get(f"{users}/1"))["status"] == 0
    assert "needs --yes" in (await command("user", "delete", "anna.schmidt@example.org", code=2)).err
    assert (await command("user", "delete", "--yes", "anna.schmidt@example.org")).out == (
        "anna.schmidt@example.org has been deleted\n"
    )
    assert (await admin.get(users))["count"] == 0
    assert (await command("user", "list")).out == ""


async def test_a_password(command: Command, admin: Api, domain: int) -> None:
    """It is taken from the input, and counts at once; without a terminal and without input nobody is asked."""
    await admin.make_user(domain, "anna")
    refused = await command("user", "passwd", "anna@example.org", code=2)
    assert "--password-stdin" in refused.err
    new = "another good one"
    await command("user", "passwd", "anna@example.org", "--password-stdin", given=f"{new}\nmore")
    answer = await command.service.api.call(
        "PUT", "/passwd", {"user": "anna@example.org", "old": new, "new": USER_PASSWORD}
    )
    assert answer.status == 200
    short = await command("user", "passwd", "anna@example.org", "--password-stdin", given="x", code=2)
    assert "Shorter than" in short.err
    assert (
        "not UTF-8"
        in (await command("user", "passwd", "anna@example.org", "--password-stdin", given=b"\xff\n", code=2)).err
    )
    missing = await command("user", "passwd", "ana@example.org", "--password-stdin", given=new, code=2)
    assert "Did you mean anna@example.org?" in missing.err


async def test_the_password_of_the_administrator(command: Command) -> None:
    """Whoever owns the machine sets it without the old one; over HTTP that would be a way around it."""
    new = "a new one for admin"
    local = command.where == "local"
    await command("user", "passwd", "admin", "--password-stdin", given=new, code=0 if local else 2)
    answer = await command.service.api.call("POST", "/login", {"user": "admin", "pass": new})
    assert answer.status == (200 if local else 401)


async def test_several(command: Command, admin: Api, domain: int) -> None:
    """Of several, each is told by itself; those who cannot be done do not stop the others, and the code is 1."""
    for name in ("anna", "paul"):
        await admin.make_user(domain, name)
    done = await command("user", "suspend", "anna@example.org", "ana@example.org", "paul@example.org", code=1)
    assert done.out == "anna@example.org is suspended now\npaul@example.org is suspended now\n"
    assert done.err == (
        "postroom: ana@example.org: There is no user 'ana@example.org'. Did you mean anna@example.org?\n"
    )
    given = "\ufeffanna@example.org\n\n  paul@example.org \nanna@example.org\n"
    done = await command("user", "activate", "--json", "-", given=given)
    assert done.data == [
        {"name": f"{name}@example.org", "done": True, "message": f"{name}@example.org is active now"}
        for name in ("anna", "paul")
    ]
    assert "no names" in (await command("user", "delete", "--yes", "-", given="\n", code=2)).err
    assert (await command("user", "delete", "--yes", "-", given=given)).out.count("has been deleted") == 2
    one = await command("user", "activate", "nobody@example.org", "--json", code=2)
    assert one.document == {"message": "There is no user 'nobody@example.org'.", "data": None}


async def test_an_alias_among_longer_ones(command: Command, admin: Api, domain: int) -> None:
    """The user of an alias is found, however many have one that ends like it."""
    for number in range(51):
        await admin.make_user(domain, f"user{number}", aliases=[f"x{number}.a@example.org"])
    await admin.make_user(domain, "anna", aliases=["a@example.org"])
    assert (await command("user", "show", "A@Example.ORG", "--json")).data["username"] == "anna@example.org"


async def test_shared_mailboxes_and_contacts(command: Command, admin: Api, domain: int) -> None:
    """They need no password; they are shown with their kind, and can be neither suspended nor activated."""
    await command("user", "create", "info@example.org", "--shared")
    made = await command("user", "create", "x@other.net", "--contact-in", "example.org", "--name", "X", "--json")
    contact = made.data["username"]
    listed = (await command("user", "list")).out
    assert "shared" in listed
    assert "contact" in listed
    assert "X" in (await command("user", "show", contact)).out
    assert "is shared, and cannot be suspended" in (await command("user", "suspend", "info@example.org", code=2)).err
    assert (await command("user", "list", "--status", "contact", "--json")).data[0]["username"] == contact
    await command("user", "delete", "--yes", contact)
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 1


async def test_lists(command: Command, admin: Api, domain: int) -> None:
    """A list is of some domains or of all, shortened with a note; words and status narrow it."""
    other = await admin.make_domain("example.net")
    for number in range(3):
        await admin.make_user(domain, f"user{number}")
    await admin.make_user(other, "anna")
    shown = await command("user", "list", "--limit", "2")
    assert len(shown.out.splitlines()) == 3
    assert shown.err == "2 of 4 users; --limit shows more\n"
    assert [user["username"] for user in (await command("user", "list", "example.net", "--json")).data] == [
        "anna@example.net"
    ]
    assert len((await command("user", "list", "example.net", "example.org", "--json")).data) == 4
    assert len((await command("user", "list", "--match", "ser1", "--json")).data) == 1
    assert (await command("user", "list", "--status", "suspended", "--json")).data == []
    assert "There is no status" in (await command("user", "list", "--status", "asleep", code=2)).err
    missing = await command("user", "list", "exmaple.org", code=2)
    assert "Did you mean example.org" in missing.err


#: (arguments, reason)
REFUSED = [
    (("show", "anna"), "an address is needed"),
    (("show", "anna@"), "There is no domain ''"),
    (("show", "@example.org"), "There is no user '@example.org'"),
    (("show", "anna@nowhere.org"), "There is no domain 'nowhere.org'"),
    (("show", "\ud800@example.org"), "postroom: "),
    (("create", "anna", "--shared"), "An address is needed"),
    (("create", "a b@example.org", "--shared"), "username"),
    (("create", "a@example.org", "--shared", "--contact-in", "example.org"), "not both"),
    (("create", "a@example.org", "--shared", "--property", "title"), "NAME=VALUE"),
    (("create", "a@example.org", "--shared", "--property", "colour=red"), "no property 'colour'"),
    (("create", "a@example.org", "--shared", "--quota", "much"), "storagequotalimit"),
    (("create", "a@example.org", "--shared", "--allow", "everything"), "nothing to allow"),
    (("create", "a@example.org", "--forward", "b@example.org", "--copy-to", "c@example.org"), "not both"),
    (("set", "a@example.org"), "nothing to change"),
    (("set", "a@example.org", "--name", "A", "--url", "http://x", "--database", "y"), "not both"),
    (("rename", "anna@example.org", "anna@example.com"), "username"),
]


async def test_what_is_refused(command: Command, admin: Api, domain: int) -> None:
    """One line with the reason, exit code 2, and nothing is stored."""
    await admin.make_user(domain, "anna")
    before = await admin.get(f"/domains/{domain}/users", params={"level": 2})
    for arguments, reason in REFUSED:
        refused = await command("user", *arguments, code=2)
        assert reason in refused.err
        assert refused.out == ""
    assert await admin.get(f"/domains/{domain}/users", params={"level": 2}) == before


async def test_the_record(command: Command, admin: Api, domain: int) -> None:
    """A command on the local database is on record as a command of the system's user, otherwise as the token."""
    await command("user", "create", "info@example.org", "--shared")
    (row, *_) = (await admin.get("/audit"))["data"]
    if command.where == "local":
        assert (row["means"], row["operation"], row["actorID"]) == ("command", "postroom user create", None)
    else:
        assert (row["means"], row["operation"], row["token"]) == ("token", "postUser", "command")
