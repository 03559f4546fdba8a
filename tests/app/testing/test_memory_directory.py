"""The LDAP directory inside a server of a test: who is in it, what postroom finds, and when it is away."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from postroom.testing import PASSWORD, HarnessError, RefusedError, Server, running, running_in_thread

SYNC, CHECK, CONFIG = "/domains/1/ldap/downsync", "/domains/ldap/check", "/system/mconf/ldap"
ANNA = "anna@example.org"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server with a domain, whose directory has anna in it."""
    async with running({"domains": ["example.org"]}) as started:
        await started.admin.put(CONFIG, started.directory.config)
        started.directory.add("anna")
        yield started


async def sync(server: Server) -> dict[str, str]:
    """What an update with all people has done, by username."""
    answer = await server.admin.post(SYNC, None, {"import": "true", "timeout": 60})
    return {each["username"]: each["action"] for each in answer["data"]}


async def user(server: Server, user_id: int = 1) -> dict[str, Any]:
    """A user of the domain."""
    return dict(await server.admin.get(f"/domains/1/users/{user_id}"))


async def test_people_become_users(server: Server) -> None:
    """They are imported, updated, and found to be gone, as from any directory."""
    mails = ["bert@example.org", "b@example.org"]
    server.directory.add({"uid": "bert", "mail": mails, "title": "Boss", "telephoneNumber": ["1", "2"]})
    assert await sync(server) == {ANNA: "create", "bert@example.org": "create"}
    bert = await user(server, 2)
    assert (bert["aliases"], bert["properties"]["businesstelephonenumber"]) == (["b@example.org"], "1 2")
    server.directory.change("bert", {"title": "Director", "mail": "bert@example.org", "telephoneNumber": None})
    await server.admin.put("/domains/1/users/2/downsync")
    bert = await user(server, 2)
    assert (bert["aliases"], bert["properties"]["title"]) == ([], "Director")
    assert "businesstelephonenumber" not in bert["properties"]
    server.directory.remove("bert")
    orphaned = (await server.admin.get(CHECK))["orphaned"]
    assert [each["username"] for each in orphaned] == ["bert@example.org"]
    assert (await server.admin.request("PUT", "/domains/1/users/2/downsync")).status == 404


async def test_single_people_are_found(server: Server) -> None:
    """Searched, dumped and imported one by one; an ID of bytes works like any other."""
    guid = bytes.fromhex("5c2a282900ff41")
    server.directory.add({"uid": "bert", "displayName": "Bert Öz", "objectGUID": guid})
    await server.admin.put(CONFIG, {**server.directory.config, "objectID": "objectGUID"})
    (found,) = (await server.admin.get("/domains/ldap/search", {"query": "bert ö"}))["data"]
    assert (found["name"], found["ID"]) == ("Bert Öz", "\\5c\\2a\\28\\29\\00\\ffA")
    await server.admin.post("/domains/ldap/importUser", None, {"ID": found["ID"]})
    assert (await user(server))["ldapID"] == found["ID"]
    ldif = await server.admin.get("/domains/ldap/dump", {"ID": found["ID"]})
    assert "displayName: Bert Öz" in str(ldif)
    assert PASSWORD not in str(ldif)


async def test_people_log_in(server: Server) -> None:
    """With the password that is theirs there, for as long as they are there."""
    await sync(server)
    await server.admin.post(
        "/system/roles", {"name": "all", "permissions": [{"permission": "SystemAdmin"}], "users": [1]}
    )
    await server.login(ANNA, PASSWORD)
    server.directory.change("anna", {"userPassword": "another one"})
    with pytest.raises(RefusedError, match="401"):
        await server.login(ANNA, PASSWORD)
    await server.login(ANNA, "another one")
    server.directory.remove("anna")
    with pytest.raises(RefusedError, match="401"):
        await server.login(ANNA, "another one")


async def test_it_goes_away_and_comes_back(server: Server) -> None:
    """Then postroom says what it says of any server that is down; connections that were open are gone."""
    await sync(server)
    server.directory.away = True
    answer = await server.admin.request("PUT", "/domains/1/users/1/downsync")
    assert answer.status == 503
    assert "ldap://directory.test:389 cannot be asked: it refuses connections" in answer.body["message"]
    with pytest.raises(RefusedError, match="503"):
        await server.login(ANNA, PASSWORD)
    server.directory.away = False
    await server.admin.put("/domains/1/users/1/downsync")
    # Between two questions.
    server.directory.away = True
    server.directory.away = False
    await server.admin.put("/domains/1/users/1/downsync")


async def test_it_may_give_out_a_part_only(server: Server) -> None:
    """An update then changes nothing, because everybody else would look gone."""
    server.directory.add("bert")
    server.directory.size_limit = 1
    answer = await server.admin.request("POST", SYNC, params={"import": "true", "timeout": 60})
    assert "only part of its entries" in answer.body["message"]
    assert (await server.admin.get("/domains/1/users"))["count"] == 0


async def test_it_goes_back_with_the_server(server: Server) -> None:
    """A reset empties it, and a snapshot knows who was in it."""
    name = await server.snapshot()
    server.directory.remove("anna")
    server.directory.add("bert")
    server.directory.away, server.directory.size_limit = True, 1
    await server.restore(name)
    assert [each["uid"] for each in server.directory.people] == [["anna"]]
    await server.reset()
    emptied = server.directory
    assert (emptied.people, emptied.away, emptied.size_limit) == ([], False, None)
    # The same people get the same IDs.
    first = server.directory.add("anna")
    await server.reset()
    assert server.directory.add("anna") == first


async def test_people_are_json(server: Server) -> None:
    """What it shows can be added elsewhere, also bytes."""
    server.directory.add({"uid": "ö, x", "jpegPhoto": {"base64": "/9gA"}, "mail": None, "cn": ["x", "y"]})
    server.directory.add({"dn": "cn=room,ou=rooms,dc=acme,dc=test", "objectClass": "organizationalRole"})
    people = server.directory.people
    assert [each["dn"] for each in people[1:]] == [
        "uid=ö\\2c x,ou=people,dc=example,dc=org",
        "cn=room,ou=rooms,dc=acme,dc=test",
    ]
    assert people[1]["jpegPhoto"] == [{"base64": "/9gA"}]
    assert "mail" not in people[1]
    assert people[2]["cn"] == ["room"]
    async with running() as other:
        for person in json.loads(json.dumps(people)):
            other.directory.add({"mail": None, **person})
        assert other.directory.people == people
    # The base of somebody else's configuration.
    config = {**server.directory.config, "baseDn": "ou=rooms,dc=acme,dc=test"}
    users = {**config["users"], "filter": None}
    await server.admin.put(CONFIG, {**config, "users": users})
    answer = await server.admin.put(CONFIG, {**config, "users": users, "baseDn": "dc=acme,dc=test"})
    assert answer["message"]
    refused = await server.admin.request("PUT", CONFIG, {**config, "users": users, "baseDn": "dc=nowhere,dc=test"})
    assert "dc=nowhere,dc=test does not exist" in refused.body["message"]


BAD = [
    ("", "directory.add: uid: A value is empty"),
    ({}, "directory.add: Either a uid or a dn is needed"),
    (7, "directory.add: .*Invalid input type"),
    ("anna", r"directory.add: uid=anna,ou=people,dc=example,dc=org is in the directory already"),
    ("ANNA", r"directory.add: uid=ANNA,ou=people,dc=example,dc=org is in the directory already"),
    ({"dn": "anna"}, "directory.add: 'anna' is no DN such as uid=anna,ou=people"),
    ({"dn": 7, "uid": "x"}, "directory.add: dn: Not a valid string"),
    ({"uid": "x", "mail": 7}, "directory.add: mail: Neither text nor"),
    ({"uid": "x", "mail": [None]}, "directory.add: mail: Neither text nor"),
    ({"uid": "x", "photo": {"base64": "?"}}, "directory.add: photo: Not valid base64"),
    ({"uid": "x", "photo": {"base64": 7}}, "directory.add: photo: Not valid base64"),
    ({"uid": "x", "e mail": "x"}, "directory.add: e mail: Not an LDAP attribute name"),
    ({"uid": "x", "title": "\ud800"}, "directory.add: title: Not valid Unicode"),
    ({"uid": "x", "title": ""}, "directory.add: title: A value is empty"),
    ({"uid": "x", "title": ["x"] * 1001}, "directory.add: title: More than 1000 values"),
    ({"uid": "x", **{f"a{number}": "x" for number in range(300)}}, "directory.add: More than 256 attributes"),
]


@pytest.mark.parametrize(("person", "reason"), BAD)
async def test_what_is_wrong_is_named(server: Server, person: Any, reason: str) -> None:
    """The message has the attribute and the reason, and nobody is added."""
    with pytest.raises(HarnessError, match=f"^{reason}"):
        server.directory.add(person)
    assert len(server.directory.people) == 1


async def test_nobody_is_changed_by_mistake(server: Server) -> None:
    """Who is meant has to be there, and only once."""
    for call in (lambda: server.directory.change("bert", {}), lambda: server.directory.remove("bert")):
        with pytest.raises(HarnessError, match="There is nobody 'bert' in the directory"):
            call()
    twin = server.directory.add({"uid": "anna", "dn": "uid=anna,ou=guests,dc=example,dc=org"})
    with pytest.raises(HarnessError, match="There is more than one 'anna' in the directory"):
        server.directory.remove("anna")
    with pytest.raises(HarnessError, match="is in the directory already"):
        server.directory.change(twin["dn"], {"dn": "UID=Anna, ou=people,dc=example,dc=org"})
    moved = server.directory.change(twin["dn"], {"dn": "uid=anna,ou=gone,dc=example,dc=org", "title": "x"})
    assert (moved["entryUUID"], moved["title"]) == (twin["entryUUID"], ["x"])
    server.directory.remove(moved["dn"])
    server.directory.remove("anna")
    assert server.directory.people == []


async def test_filters_beyond_those_of_openldap(server: Server) -> None:
    """The flags of Active Directory work, and numbers are compared; what cannot be compared is said."""
    server.directory.add({"uid": "bert", "userAccountControl": "514"})
    server.directory.add({"uid": "carl", "userAccountControl": "512", "uidNumber": "1000"})
    config = server.directory.config
    for text, uids in (
        ("(&(uid=*)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))", {ANNA, "carl@example.org"}),
        ("(userAccountControl:1.2.840.113556.1.4.804:=3)", {"bert@example.org"}),
        ("(uidNumber>=1000)", {"carl@example.org"}),
        ("(uidNumber<=999)", set()),
    ):
        await server.admin.put(CONFIG, {**config, "users": {**config["users"], "filter": text}})
        found = await server.admin.post(SYNC, None, {"import": "true", "timeout": 60, "dryRun": "true"})
        assert {each["username"] for each in found["data"]} == uids
    for text, rule in (("(cn~=anna)", "~="), ("(cn:caseExactMatch:=Anna)", "caseExactMatch")):
        answer = await server.admin.request("PUT", CONFIG, {**config, "users": {**config["users"], "filter": text}})
        assert answer.status == 400
        assert f"does not compare by {rule}" in answer.body["message"]


async def test_other_servers_are_asked_over_the_network(server: Server) -> None:
    """The directory answers to its own name only."""
    config = server.directory.config
    config["connection"]["server"] = "ldap://127.0.0.1:1"
    answer = await server.admin.request("PUT", CONFIG, config)
    assert "ldap://127.0.0.1:1 cannot be asked: it refuses connections" in answer.body["message"]
    config["connection"] = {"server": f"ldap://127.0.0.1:1 {server.directory.url}"}
    answer = await server.admin.request("PUT", CONFIG, config)
    assert "does not exist or may not be read" in answer.body["message"]


def test_without_asyncio() -> None:
    """The same, from another thread."""
    with running_in_thread({"domains": ["example.org"]}) as server:
        server.directory.add("anna")
        server.admin.put(CONFIG, server.directory.config)
        assert server.admin.post(SYNC, None, {"import": "true", "timeout": 60})["message"] == "Done: 1 created"
