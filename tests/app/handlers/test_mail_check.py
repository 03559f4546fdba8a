"""What becomes of mail for an address: the steps, where they end, who may send, and what is replied."""

from typing import Any
from urllib.parse import urlencode

import pytest

from postroom.app.services import mail_check
from tests.support.service import Api

ANNA, HALL = "anna@example.org", "hall@example.org"


async def check(admin: Api, address: str, **query: str) -> Any:
    """What the check says."""
    return await admin.get(f"/system/mailCheck?{urlencode({'address': address, **query})}")


def kinds(found: Any) -> dict[str, str]:
    """Address -> kind of each step."""
    return {step["address"]: step["kind"] for step in found["steps"]}


async def forward(admin: Api, path: str, destination: str, kind: int = 1) -> None:
    """Gives a user a forward."""
    await admin.patch(path, {"forward": {"forwardType": kind, "destination": destination}})


@pytest.fixture
async def anna(admin: Api, domain: int) -> str:
    """The path of a user with an alias."""
    user = await admin.make_user(domain, "anna", aliases=["a@example.org"], smtp=True)
    return f"/domains/{domain}/users/{user['ID']}"


async def test_a_mailbox(admin: Api, anna: str) -> None:
    """The mail stays there, whatever the spelling; its folder and its limit are told."""
    await admin.patch(anna, {"properties": {"storagequotalimit": 2048}})
    found = await check(admin, "A@Example.ORG")
    assert found["accepted"]
    assert kinds(found) == {"a@example.org": "alias", ANNA: "mailbox"}
    (mailbox,) = found["mailboxes"]
    assert mailbox == {
        "username": ANNA,
        "folder": anna.replace("/domains/", "").replace("/users/", "/"),
        "quotaKiB": 2048,
        "outOfOffice": None,
    }
    assert (found["outside"], found["failures"], found["senders"], found["login"]) == ([], [], [ANNA], None)


async def test_forwards(admin: Api, domain: int, anna: str) -> None:
    """A copy goes on besides the mailbox, a redirect leaves it, and what is missing at the end is told."""
    bert = await admin.make_user(domain, "bert")
    await forward(admin, anna, "bert@example.org", kind=0)
    await forward(admin, f"/domains/{domain}/users/{bert['ID']}", "nobody@example.org")
    found = await check(admin, "anna+news@example.org")
    assert kinds(found) == {
        "anna+news@example.org": "detail",
        ANNA: "copy",
        "bert@example.org": "redirect",
        "nobody@example.org": "unknown",
    }
    assert found["accepted"]
    assert [each["username"] for each in found["mailboxes"]] == [ANNA]
    assert found["failures"] == ["nobody@example.org"]
    await forward(admin, anna, "anna@example.net", kind=1)
    found = await check(admin, ANNA)
    assert (found["mailboxes"], found["outside"]) == ([], ["anna@example.net"])


async def test_circles(admin: Api, anna: str) -> None:
    """Three users in as many domains redirect to each other: the first that gets the mail keeps it."""
    names = [ANNA]
    paths = [anna]
    for name in ("b.example", "c.example"):
        domain = await admin.make_domain(name)
        user = await admin.make_user(domain, "u")
        names.append(user["username"])
        paths.append(f"/domains/{domain}/users/{user['ID']}")
    for number, path in enumerate(paths):
        await forward(admin, path, names[(number + 1) % 3])
    for name in names:
        found = await check(admin, name)
        assert kinds(found) == {name: "circle"}
        assert [each["username"] for each in found["mailboxes"]] == [name]
        assert "leads back" in found["steps"][0]["text"]


async def test_a_long_chain_and_too_long_a_one(admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is told; after as many as Postfix follows, there are no more."""
    for number in range(100):
        user = await admin.make_user(domain, f"u{number}")
        await forward(admin, f"/domains/{domain}/users/{user['ID']}", f"u{number + 1}@example.org", kind=number % 2)
    found = await check(admin, "u0@example.org")
    assert len(found["steps"]) == 101
    assert found["failures"] == ["u100@example.org"]
    monkeypatch.setattr(mail_check, "MOST_STEPS", 5)
    found = await check(admin, "u0@example.org")
    assert [step["kind"] for step in found["steps"]] == ["copy", "redirect", "copy", "redirect", "copy", "endless"]


async def test_refusals(admin: Api, domain: int, anna: str) -> None:
    """Whatever gets no mail says why."""
    await admin.post(f"/domains/{domain}/users", {"username": "c@c.net", "status": 5, "aliases": ["c@example.org"]})
    contact = await check(admin, "c@example.org")
    assert kinds(contact) == {"c@example.org": "contact", "c@c.net": "outside"}
    expected = {"nobody@example.org": "unknown", "a@b@c": "invalid", "": "invalid", "x" * 400: "invalid"}
    await admin.patch(anna, {"status": 1})
    for name in (ANNA, "a@example.org"):
        expected[name] = "suspended"
    for address, kind in expected.items():
        found = await check(admin, address)
        assert ([step["kind"] for step in found["steps"]], found["accepted"]) == ([kind], False), address
    assert kinds(await check(admin, "anna+x@example.org"))[ANNA] == "suspended"
    assert not (await check(admin, "anna+x@example.org"))["accepted"]
    outside = await check(admin, "x@example.net")
    assert (outside["accepted"], kinds(outside), outside["outside"]) == (
        False, {"x@example.net": "outside"}, ["x@example.net"],
    )  # fmt: skip
    for status, word in ((1, "suspended"), (3, "deleted")):
        await admin.patch(f"/system/domains/{domain}", {"domainStatus": status})
        for address in (ANNA, "nobody@example.org"):
            (step,) = (await check(admin, address))["steps"]
            assert (step["kind"], word in step["text"]) == ("domain", True)


async def test_who_may_send(admin: Api, domain: int, anna: str) -> None:
    """A login may send as its own addresses and by a grant; otherwise the reason is told."""
    hall = await admin.post(f"/domains/{domain}/users", {"username": "hall", "status": 4})
    await admin.make_user(domain, "bert", smtp=True)
    await admin.put(f"/domains/{domain}/users/{hall['ID']}/sendas", [ANNA])
    assert (await check(admin, HALL))["senders"] == [ANNA]

    async def login(name: str, sender: str | None = None) -> Any:
        given = {} if sender is None else {"sender": sender}
        return (await check(admin, HALL, login=name, **given))["login"]

    for name, sender in (("a@example.org", None), (ANNA, "a@example.org"), (ANNA, "anna+x@example.org")):
        assert (await login(name, sender))["maySend"], (name, sender)
    for name, sender, reason in (
        ("bert@example.org", None, "no grant"),
        (ANNA, "bert@example.org", "no grant"),
        (HALL, HALL, "shared"),
        ("nobody", None, "no mailbox"),
    ):
        found = await login(name, sender)
        assert (found["maySend"], reason in found["text"]) == (False, True), found
    await admin.patch(anna, {"smtp": False})
    assert "privilege" in (await login(ANNA))["text"]
    await admin.patch(anna, {"status": 1})
    assert "not active" in (await login(ANNA))["text"]


async def test_out_of_office(admin: Api, domain: int, anna: str) -> None:
    """What is replied depends on the time, on where the message comes from, and on who outside gets a reply."""

    async def reply(**query: str) -> tuple[bool, str | None] | None:
        found = (await check(admin, ANNA, **query))["mailboxes"][0]["outOfOffice"]
        return None if found is None else (found["replies"], found["reply"])

    assert await reply() is None
    texts = {"internalReply": "Away", "externalReply": "Gone"}
    await admin.put(f"{anna}/oof", {"state": 1, "externalAudience": 0, **texts})
    for sender in ("bert@example.org", "BERT@Example.org"):
        assert await reply(sender=sender) == (True, "Away")
    for own in (ANNA, "A@example.org", "anna+news@example.org"):
        assert await reply(sender=own) == (False, None)
    assert await reply() == (True, "Away")
    for audience in (0, 1):
        await admin.put(f"{anna}/oof", {"externalAudience": audience})
        assert (await reply(sender="x@example.net") or (True,))[0] is False
    await admin.put(f"{anna}/oof", {"externalAudience": 2})
    assert await reply(sender="x@example.net") == (True, "Gone")
    assert (await reply(sender="") or (True,))[0] is False
    await admin.put(f"{anna}/oof", {"externalReply": None})
    assert await reply(sender="x@example.net") == (False, None)
    times = {"startTime": "2001-01-01 00:00:00", "endTime": "2001-01-02 00:00:00"}
    await admin.put(f"{anna}/oof", {"state": 2, **times})
    assert await reply() == (False, None)
