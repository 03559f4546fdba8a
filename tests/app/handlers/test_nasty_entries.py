"""Entries of a directory that nobody would make on purpose: each is skipped or made the best of, and stops no other."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroom.app.services import ldap_sync_run
from postroom.storage.sqlite import sqlite3
from postroom.storage.tasks import COMPLETED
from tests.support.faults import answering, fault_server
from tests.support.inside import forbid
from tests.support.people import CONFIG, item_of, sync
from tests.support.service import Api, Service

Attributes = Mapping[str, Sequence[bytes]]

_numbers = count()


def document(address: str) -> dict[str, Any]:
    """A configuration that asks for a bit of everything."""
    return {
        "connection": {"server": address, "bindUser": "cn=x", "bindPass": "x"},
        "baseDn": "dc=x",
        "objectID": "objectGUID",
        "users": {
            "username": "mail", "aliases": "mailAlias", "altname": "uid", "displayName": "displayName",
            "attributes": {
                "description": "comment", "quota": "storagequotalimit", "kind": "displaytypeex",
                "since": "creationtime", "picture": "thumbnailphoto",
            },
        },
    }  # fmt: skip


def person(domain: str, name: str) -> Attributes:
    """An entry without a fault."""
    mail = f"{name}@{domain}".encode()
    return {"mail": [mail], "uid": [f"{name}.{domain}".encode()], "objectGUID": [name.encode()]}


#: What is one name to the database: in another case, in compatible or decomposed characters, with another sigma.
NAMES = [
    "straße", "strasse", "STRASSE", "ſtrasse", "ﬁsch", "fisch", "İ", "i̇", "ı", "σς", "ΣΣ", "σσ", "é", "e\u0301", "É",
    "ａ", "a", "A", "first", "FIRST", "ﬁrst", "", " ", "a b", "a\x00", "a\n", "a\x1b[31m", "x" * 64, "x" * 300,
    "'", '"', "a..b", "a@b", "<script>", "%", "\\", "*", "\u202e", "\ufeff", "😀",
]  # fmt: skip

names = st.sampled_from(NAMES) | st.text(max_size=8)


@st.composite
def addresses(draw: st.DrawFn) -> bytes:
    """Something where an address should be; DOMAIN stands for the domain of the people."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=20))
    at = draw(st.sampled_from(["@", "@", "@", "@", "＠", "@@", ""]))
    domain = draw(st.sampled_from(["DOMAIN", "DOMAIN", "DOMAIN", "domain.", "foreign.example", "", "ＤＯＭＡＩＮ"]))
    prefix = draw(st.sampled_from(["", "", "smtp:", "SMTP:", "x500:"]))
    return (prefix + draw(names) + at + domain).encode("utf-8", "surrogatepass")


def values(one: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """None, one or several of an attribute's values."""
    return st.lists(one, max_size=3)


texts = names.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=8)
entries = st.fixed_dictionaries(
    {
        "mail": values(addresses()),
        "mailAlias": values(addresses()),
        "uid": values(texts),
        "objectGUID": values(st.sampled_from([b"first", b"same", b"\x00\xff", b"*", b""]) | st.binary(max_size=20)),
        "displayName": values(texts),
        "description": values(texts),
        "quota": values(st.sampled_from([b"5", b"-1", b"99999999999999999999", b"x", b"\xd9\xa5"])),
        "kind": values(st.sampled_from([b"0", b"6", b"1073741830", b"x"])),
        "since": values(st.sampled_from([b"20240131120000Z", b"00010101000000+1400", b"99991231235959-1200", b"x"])),
        "picture": values(st.binary(max_size=8)),
    }
)


def placed(entry: Mapping[str, Sequence[bytes]], domain: str) -> Attributes:
    """The entry with the domain in the places that were left for it."""
    wide = "ＤＯＭＡＩＮ".encode()
    return {
        name: [value.replace(b"DOMAIN", domain.encode()).replace(wide, domain.encode()) for value in found]
        for name, found in entry.items()
        if found
    }


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(nasty=st.lists(entries, min_size=1, max_size=6))
async def test_good_entries_get_through(admin: Api, nasty: list[dict[str, list[bytes]]]) -> None:
    """Whatever stands between two good entries, those become users, the update comes to its end, and nothing is a
    fault; what was made of the others can be read and sent back."""
    name = f"d{next(_numbers)}.example"
    domain = await admin.make_domain(name)
    people = {"cn=first": person(name, "first")}
    people |= {f"cn={number}": placed(entry, name) for number, entry in enumerate(nasty)}
    people |= {"cn=last": person(name, "last")}
    async with fault_server(answering(people)) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        plan = await sync(admin, f"/domains/{domain}/ldap/downsync", **{"import": "true", "dryRun": "true"})
        done = await sync(admin, f"/domains/{domain}/ldap/downsync", **{"import": "true", "lang": "de"})
        for answer in (plan, done):
            assert {item["code"] for item in answer["data"]} <= {200, 201, 400, 409}
            # What the database had to refuse, the plan should have known.
            assert "cannot be taken over" not in str(answer)
            for good in ("first", "last"):
                assert item_of_object(answer, good)["action"] == "create"
        again = await sync(admin, f"/domains/{domain}/ldap/downsync", **{"import": "true"})
        assert item_of(again, f"last@{name}")["action"] == "unchanged"
        people_found = await admin.get("/domains/ldap/search", params={"query": "xxx", "domain": str(domain),
                                                                       "showAll": "true"})  # fmt: skip
        assert len(people_found["data"]) <= len(people)
    tasks = (await admin.get("/tasq/tasks", params={"limit": "3", "sort": "ID,desc"}))["data"]
    assert [task["state"] for task in tasks] == [COMPLETED] * 3
    for user in (await admin.get(f"/domains/{domain}/users", params={"level": "2"}))["data"]:
        await admin.patch(f"/domains/{domain}/users/{user['ID']}", user)
    await admin.delete(f"/system/domains/{domain}?purge=true")


def item_of_object(answer: dict[str, Any], object_id: str) -> dict[str, Any]:
    """The first item of an object."""
    return next(item for item in answer["data"] if item["objectID"] == object_id)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(entry=entries)
async def test_one_nasty_entry_asked_for_by_itself(admin: Api, entry: dict[str, list[bytes]]) -> None:
    """Imported, looked at, or linked to a user, such an entry is taken or refused with a reason, and never a fault."""
    name = f"d{next(_numbers)}.example"
    domain = await admin.make_domain(name)
    user = await admin.make_user(domain, "first", aliases=[f"strasse@{name}"])
    async with fault_server(answering({"cn=x": placed(entry, name)})) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        query = {"ID": "x", "domain": str(domain)}
        calls = [
            await admin.call("PUT", f"/domains/{domain}/users/{user['ID']}/downsync", params={"ID": "x"}),
            await admin.call("POST", "/domains/ldap/importUser", params={**query, "force": "true"}),
            await admin.call("GET", "/domains/ldap/dump", params=query),
        ]
    assert [call.status for call in calls if call.status not in (200, 201, 400, 409)] == []
    await admin.delete(f"/system/domains/{domain}?purge=true")


@pytest.mark.parametrize("alias", ["straße", "STRASSE", "ſtrasse", "strasse"])
async def test_an_alias_that_is_the_own_name(admin: Api, alias: str) -> None:
    """An alias that is the own name in other letters is none, at the creation, at an update, and by itself."""
    domain = await admin.make_domain("example.org")
    entry = {**person("example.org", "strasse"), "mailAlias": [f"{alias}@example.org".encode(), b"ok@example.org"]}
    people = {"cn=one": entry, "cn=two": person("example.org", "other")}
    async with fault_server(answering(people)) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        answer = await sync(admin, **{"import": "true"})
        assert [item["code"] for item in answer["data"]] == [201, 201]
        answer = await sync(admin, **{"import": "true"})
        assert [item["action"] for item in answer["data"]] == ["unchanged", "unchanged"]
    user, _ = (await admin.get(f"/domains/{domain}/users", params={"level": "2"}))["data"]
    assert user["aliases"] == ["ok@example.org"]


async def test_a_name_in_other_letters_is_taken_over(admin: Api) -> None:
    """A directory that writes a name in other letters renames the user, whose alias of that name is none any more."""
    domain = await admin.make_domain("example.org")
    user = await admin.make_user(domain, "paul", aliases=["strasse@example.org", "ok@example.org"])
    path = f"/domains/{domain}/users/{user['ID']}"
    settings_ = document("")
    del settings_["users"]["aliases"]
    for name, aliases in (("straße", ["ok@example.org"]), ("strasse", ["ok@example.org"])):
        async with fault_server(answering({"cn=x": person("example.org", name)})) as address:
            await admin.put(f"{CONFIG}?force=true", {**settings_, "connection": document(address)["connection"]})
            after = await admin.put(f"{path}/downsync", params={"ID": "x"})
            assert (after["username"], after["aliases"]) == (f"{name}@example.org", aliases)


async def test_several_entries_want_one_name(admin: Api) -> None:
    """Of entries whose names are one name to the database the first has it, in the plan as in what is done."""
    domain = await admin.make_domain("example.org")
    people = {
        "cn=1": {**person("example.org", "one"), "mailAlias": ["straße@example.org".encode()]},
        "cn=2": person("example.org", "strasse"),
        "cn=3": {**person("example.org", "three"), "mailAlias": [b"STRASSE@example.org"]},
        "cn=4": {**person("example.org", "four"), "uid": [b"ONE@example.org"]},
        "cn=5": {**person("example.org", "five"), "uid": [b"one.EXAMPLE.org"]},
        "cn=6": person("example.org", "ONE"),
    }
    async with fault_server(answering(people)) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        for dry_run in ("true", "false"):
            answer = await sync(admin, **{"import": "true", "dryRun": dry_run})
            assert [item["code"] for item in answer["data"]] == [201, 409, 201, 201, 201, 409]
    users = (await admin.get(f"/domains/{domain}/users", params={"level": "2"}))["data"]
    assert [(user["aliases"], len(user["altnames"])) for user in users] == [
        (["straße@example.org"], 1), ([], 1), ([], 0), ([], 0),
    ]  # fmt: skip


async def test_what_the_database_refuses_skips_one_entry(service: Service, admin: Api) -> None:
    """A rule of the database that no code foresaw makes an item with a plain sentence, or a 400; the others go on."""
    domain = await admin.make_domain("example.org")

    await service.context.database.write(forbid, "INSERT", "new.key = 'bad@example.org'", "no such luck")
    people = {f"cn={name}": person("example.org", name) for name in ("first", "bad", "last")}
    async with fault_server(answering(people)) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        answer = await sync(admin, **{"import": "true"})
    assert [item["code"] for item in answer["data"]] == [201, 400, 201]
    assert "cannot be taken over" in answer["data"][1]["message"]
    assert "no such luck" not in str(answer)
    async with fault_server(answering({"cn=bad": people["cn=bad"]})) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        assert "cannot be taken over" in await admin.refused(400, "POST", "/domains/ldap/importUser?ID=bad")
        user = await admin.make_user(domain, "other")
        await admin.refused(400, "PUT", f"/domains/{domain}/users/{user['ID']}/downsync?ID=bad")
    assert len((await admin.get(f"/domains/{domain}/users"))["data"]) == 3


@pytest.mark.parametrize("fault", [ValueError, KeyError, sqlite3.ProgrammingError, UnicodeEncodeError])
@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("postroom.app.directory.mapping", "_username"),
        ("postroom.app.directory.plan", "differences"),
        ("postroom.app.transactions.ldap_users", "differences"),
    ],
)
async def test_a_fault_of_ours_skips_one_entry(
    admin: Api,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    module: str,
    function: str,
    fault: type[Exception],
) -> None:
    """Whatever goes wrong while one entry is read, planned or written, the others go on; the log has the traceback."""
    import importlib

    await admin.make_domain("example.org")
    place = importlib.import_module(module)
    real = getattr(place, function)
    error = UnicodeEncodeError("utf-8", "x", 0, 1, "x") if fault is UnicodeEncodeError else fault("surprise")

    def faulty(*args: Any) -> Any:
        if "bad@example.org" in str(args[0]):
            raise error
        return real(*args)

    monkeypatch.setattr(place, function, faulty)
    people = {f"cn={name}": person("example.org", name) for name in ("first", "bad", "last")}
    async with fault_server(answering(people)) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        answer = await sync(admin, **{"import": "true"})
    codes = {item["objectID"]: item["code"] for item in answer["data"]}
    assert (codes.pop("first"), codes.pop("last")) == (201, 201)
    assert set(codes.values()) <= {400, 500}
    assert "surprise" not in str(answer)
    assert any(record.exc_info for record in caplog.records)
    task = (await admin.get("/tasq/tasks"))["data"][0]
    assert task["state"] == COMPLETED


async def test_a_database_that_is_away_ends_an_update(admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no entry's fault: the update ends with it, and does not go through all the others."""
    await admin.make_domain("example.org")
    asked = []

    def full(*args: Any) -> Any:
        asked.append(args)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(ldap_sync_run, "create_from_directory", full)
    people = {f"cn={number}": person("example.org", f"p{number}") for number in range(5)}
    async with fault_server(answering(people)) as address:
        await admin.put(f"{CONFIG}?force=true", document(address))
        await admin.refused(503, "POST", "/domains/ldap/downsync?import=true&timeout=60")
    assert len(asked) == 1
