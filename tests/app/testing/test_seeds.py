"""Seeds: what a server of a test begins with."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import postroom.testing
from postroom.storage.seed_extent import Extent
from postroom.storage.seeds import read_seed
from postroom.testing import PASSWORD, HarnessError, SeedError, Server, running, running_in_thread
from tests.app.testing.test_running import status_of
from tests.support.service import Api, Service
from tests.support.whole_store import fill

EVERYTHING = """
organisations:
  - Acme
  - name: Other
    description: the others
domains:
  - domainname: example.org
    organisation: Acme
    maxUser: 50
    title: Acme's own
    disabledPlugins: [chat]
  - domainname: example.com
    organisation: Acme
  - domainname: closed.example
    domainStatus: 1
roles:
  - name: root
    permissions: [SystemAdmin]
  - name: helpers
    permissions:
      - DomainAdmin: example.org
      - OrgAdmin: Acme
      - DomainAdminRO: "*"
users:
  - username: anna@example.org
    password: her own one
    aliases: [a.berg@example.org, anna@example.com]
    altnames: [{altname: ab}]
    properties: {displayname: Anna Berg}
    forward: {forwardType: 0, destination: anna@elsewhere.example}
    fetchmail: [{srcServer: mail.elsewhere.example, srcUser: anna, srcPassword: elsewhere}]
    roles: [helpers, root]
    oof: {state: 2, startTime: 2026-12-24 00:00:00, endTime: 2027-01-06 00:00:00, internalReply: Away}
    delegates: [bert@example.com]
    sendas: [stranger@elsewhere.example]
    storeAccess: [bert@example.com]
    devices:
      - phone
      - {deviceID: tablet, devicetype: Pixel, wipeStatus: 2, resync: true, lastconnecttime: 1785574800}
  - {username: bert@example.com, roles: [root]}
  - {username: hall@example.org, status: 4}
  - {username: guest@elsewhere.example, domain: example.org, status: 5}
  - {username: linked@example.org, ldapID: 'ab\\2dcd'}
  - closed@closed.example
tokens:
  - nightly
  - {name: of bert, owner: bert@example.com, token: postroom_of-bert, networks: [192.0.2.0/24]}
  - name: narrow
    owner: anna@example.org
    permissions: [{DomainAdminRO: example.org}]
    readOnly: true
    expires: 2031-01-01 00:00:00
"""


async def check_everything(server: Server) -> None:
    """The store has what stands above."""
    anna = await server.admin.get("/domains/1/users/1")
    assert anna["aliases"] == ["a.berg@example.org", "anna@example.com"]
    assert anna["properties"]["displayname"] == "Anna Berg"
    assert anna["forward"]["destination"] == "anna@elsewhere.example"
    assert anna["fetchmail"][0]["srcUser"] == "anna"
    assert [role["name"] for role in anna["roles"]] == ["root", "helpers"]
    read = {
        name: (await server.admin.get(f"/domains/1/users/1/{name}"))
        for name in ("oof", "delegates", "sendas", "storeAccess", "sync")
    }
    assert read["oof"]["startTime"] == "2026-12-24 00:00:00"
    assert read["delegates"]["data"] == ["bert@example.com"]
    assert read["sendas"]["data"] == ["stranger@elsewhere.example"]
    assert [member["username"] for member in read["storeAccess"]["data"]] == ["bert@example.com"]
    assert [(each["deviceid"], each["wipeStatus"]) for each in read["sync"]["data"]] == [("phone", 0), ("tablet", 2)]
    report = await server.admin.put("/service/sync/anna@example.org/tablet", {})
    assert report["data"]["resync"] is True
    (role,) = [each for each in (await server.admin.get("/system/roles", {"level": 2}))["data"] if each["ID"] == 2]
    assert [each["params"] for each in role["permissions"]] == [1, 1, "*"]
    domains = (await server.admin.get("/system/domains", {"level": 2}))["data"]
    assert [(each["domainname"], each["orgID"], each["maxUser"], each["domainStatus"]) for each in domains] == [
        ("example.org", 1, 50, 0),
        ("example.com", 1, 10_000, 0),
        ("closed.example", 0, 10_000, 1),
    ]
    assert (await server.admin.get("/domains/1/disabledPlugins"))["data"] == ["chat"]
    users = (await server.admin.get("/system/users", {"level": 1}))["data"]
    assert [(each["username"], each["status"], each["ldapID"]) for each in users] == [
        ("anna@example.org", 0, None),
        ("bert@example.com", 0, None),
        ("hall@example.org", 4, None),
        ("contact-4", 5, None),
        ("linked@example.org", 0, "ab\\2dcd"),
        ("closed@closed.example", 0, None),
    ]
    await server.login("anna@example.org", "her own one")
    tokens = (await server.admin.get("/tokens"))["data"]
    assert [(each["name"], each["owner"]["username"], each["readOnly"], each["expires"]) for each in tokens] == [
        ("nightly", "admin", False, None),
        ("of bert", "bert@example.com", False, None),
        ("narrow", "anna@example.org", True, "2031-01-01 00:00:00"),
    ]
    assert tokens[2]["permissions"] == [{"permission": "DomainAdminRO", "params": 1}]
    for name, status in (("nightly", 200), ("of-bert", 401), ("narrow", 200)):
        assert await status_of(server, f"postroom_{name}", "/domains/1/users") == status


async def test_a_file_with_everything(tmp_path: Path) -> None:
    """Everything that a seed can have is stored, from YAML and from JSON, and comes back after a reset."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(EVERYTHING, "utf-8")
    async with running(seed) as server:
        dumped = await server.dump_seed()
        await check_everything(server)
        await server.admin.delete("/system/domains/1", {"purge": "true"})
        await server.reset()
        await check_everything(server)
    again = tmp_path / "seed.json"
    again.write_text(json.dumps(dumped), "utf-8")
    async with running(str(again)) as server:
        assert await server.dump_seed() == dumped
        await check_everything(server)


async def test_short_forms() -> None:
    """Names alone are enough; the users have the password that everybody knows."""
    async with running({"users": ["anna", "bert"]}) as server:
        users = (await server.admin.get("/domains/1/users"))["data"]
        assert [user["username"] for user in users] == ["anna@example.org", "bert@example.org"]
        changed = {"user": "anna", "old": PASSWORD, "new": "another one"}
        assert (await server.admin.request("PUT", "/passwd", {**changed, "user": users[0]["username"]})).status == 200
    async with running({"domains": ["example.com"], "users": ["anna"]}) as server:
        assert (await server.admin.get("/domains/1/users"))["data"][0]["username"] == "anna@example.com"
    async with running({}) as server:
        assert await server.dump_seed() == {}


async def test_servers_with_one_seed_share_nothing() -> None:
    """The store is made once for each seed, and each server has a copy."""
    seed = {"users": ["anna"]}
    async with running(seed) as one, running(seed) as other:
        await one.admin.delete("/domains/1/users/1")
        await one.reset()
        await other.admin.delete("/domains/1/users/1")
        assert [(await each.admin.get("/domains/1/users"))["count"] for each in (one, other)] == [1, 0]


async def test_what_a_service_has_can_be_a_seed(service: Service, admin: Api) -> None:
    """A document of a whole store, of either engine, makes the same document again."""
    await fill(service, admin)
    for secrets in (True, False):
        seed = await service.context.database.read(read_seed, Extent(datetime.now(UTC), secrets))
        assert ("passwordHash" in json.dumps(seed), "srcPassword" in json.dumps(seed)) == (secrets, secrets)
        async with running(seed) as server:
            again = await server.dump_seed()
        if secrets:
            assert again == seed
        assert [without(user, "passwordHash") for user in again["users"]] == [
            without(user, "passwordHash") for user in seed["users"]
        ]


def without(user: dict[str, Any], name: str) -> dict[str, Any]:
    """The user without one field."""
    return {key: value for key, value in user.items() if key != name}


BAD = [
    ("user: [anna]", "line 1: user: Unknown field. Do you mean users?"),
    ("colour: red", "line 1: colour: Unknown field. Known ones: ldap, createDefaults, authBackendSelection, org"),
    ("users: [{username: anna, alias: [b]}]", "users.0.alias (anna): Unknown field. Do you mean aliases?"),
    ("users: [{username: anna, devices: [{deviceID: x, resinc: true}]}]", "Unknown field. Do you mean resync?"),
    ("users:\n  - anna\n  - bert\n  - ANNA", "line 4: users.2.username (ANNA): anna@example.org is in use already"),
    (
        "domains: [example.org]\nusers:\n  - anna@example.com",
        "line 3: users.0.username (anna@example.com): The",
    ),
    (
        "domains: [a.example, b.example]\nusers:\n  - anna",
        "line 3: users.0.domain (anna): Is needed, or a username such as anna@example.org: there are 2",
    ),
    ("domains:\n  - example.org\n  - EXAMPLE.org", "line 3: domains.1.domainname (EXAMPLE.org): There is a domain"),
    ("domains: [localhost]", "line 1: domains.0.domainname (localhost): Not a domain name"),
    ("domains: [{domainname: a.example, orgID: 7}]", "line 1: domains.0.orgID (a.example): Unknown field"),
    (
        "domains: [{domainname: a.example, organisation: x}]",
        "domains.0.organisation (a.example): There is no organisation 'x'",
    ),
    ("organisations: [Acme, Acme]", "organisations.1.name (Acme): "),
    (
        "users:\n  - username: anna\n    role: red\n  - username: bert\n    aliases: [b]",
        "line 3: users.0.role (anna): Unknown field. Do you mean roles?\nFILE, line 5: users.1.aliases.0 (bert): ",
    ),
    ("users: [{username: anna, password: abc}]", "users.0.password (anna): Shorter than 6"),
    ("users: [{username: anna, passwordHash: abc}]", "users.0.passwordHash (anna): Is no hash"),
    ("users: [{username: anna, password: secret1, passwordHash: x}]", "Only one of password and passwordHash"),
    ("users: [{status: 0}]", "users.0.username: Missing data"),
    ("users: [{username: anna, roles: [boss]}]", "users.0.roles (anna): There is no role 'boss'"),
    ("users: [{username: anna, storeAccess: [x@example.org]}]", "users.0.storeAccess.usernames (anna): "),
    ("users: [{username: anna, ldapID: '\\\\x'}]", "line 1: users.0 (anna): The LDAP object ID holds a backslash"),
    ("users:\n  - username: anna\n    oof: {state: 2}", "line 3: users.0.oof.startTime (anna): Is needed"),
    ("users: [{username: anna, oof: {colour: red}}]", "users.0.oof.colour (anna): Unknown field"),
    ("users: [{username: anna, devices: [a b]}]", "users.0.devices.0.deviceID (anna): 'a b' is no device ID"),
    ("users: [{username: anna, domain: nowhere}]", "users.0.domain (anna): There is no domain 'nowhere'"),
    ("roles: [{name: r, permissions: [{DomainAdmin: x.example}]}]", "roles.0.permissions.0 (r): There is no domain"),
    ("roles: [{name: r, permissions: [Everything]}]", "roles.0.permissions.0.permission (r): There is no permission"),
    ("tokens: [a b]", "tokens.0.token (a b): 'postroom_a b' is no token"),
    ("tokens: [{name: a, token: secret}]", "tokens.0.token (a): 'secret' is no token"),
    ("tokens: [{name: a, owner: anna}]", "tokens.0.owner (a): There is no user 'anna', or there are several"),
    (
        "users: [anna]\ntokens:\n  - {name: a, owner: anna}",
        "line 3: tokens.0.owner (a): anna@example.org may not",
    ),
    ("tokens: [{name: a, expires: 2001-01-01 00:00:00}]", "tokens.0.expires (a): Lies in the past"),
    ("tokens: [{name: a, tokenHash: x}]", "tokens.0.tokenHash (a): Not a SHA-256"),
    ("tokens: [{name: a, permissions: [DomainAdmin]}]", "tokens.0.permissions.0.params (a): DomainAdmin needs"),
    ("users: anna", "line 1: users: Not a valid list"),
    ("ldap:\n  baseDn: dc=x\n  colour: red", "line 3: ldap.colour: Unknown field. Known ones: disabled, enable"),
    (
        "organisations:\n  - name: Acme\n    ldap: {baseDn: dc=x}",
        "organisations.0.ldap.connection (Acme): Missing data",
    ),
    ("authBackendSelection: ldap", "line 1: authBackendSelection: Must be one of: always_mysql"),
    ("createDefaults: {user: {colour: red}}", "line 1: createDefaults.user.colour: Unknown field"),
    ("domains: [{domainname: a.example, createDefaults: {x: 1}}]", "domains.0.createDefaults.x (a.example): Unknown"),
    ("roles: [{name: r, madeFor: x.example}]", "roles.0.madeFor (r): There is no domain 'x.example'"),
    ("users: [{username: anna, resyncs: [a b]}]", "users.0.resyncs.0 (anna): 'a b' is no device ID"),
    ("users: [{username: anna, altnames: [{altname: a, magic: 7}]}]", "users.0.altnames.0.magic (anna): Must be one"),
    ("users: [3]", "line 1: users.0: Invalid input type"),
    ("users:\n  - anna\nusers:\n  - bert", "line 3: users is given twice"),
    ("[anna]", "A seed has organisations"),
    ("users: [", "is no YAML: "),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
async def test_what_is_wrong_is_named(text: str, reason: str, tmp_path: Path) -> None:
    """The message has the file, the line, the entry and the reason of each error."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(text, "utf-8")
    with pytest.raises(SeedError) as caught:
        async with running(seed):
            pass  # pragma: no cover
    assert reason.replace("FILE", str(seed)) in str(caught.value)
    assert str(seed) in str(caught.value)


async def test_a_dict_has_no_lines() -> None:
    """The message has the place and the name of the entry."""
    with pytest.raises(SeedError, match=r"seed: users\.1\.lang \(bert\): Not a valid string"):
        async with running({"users": ["anna", {"username": "bert", "lang": 7}]}):
            pass  # pragma: no cover


async def test_json_has_lines_too(tmp_path: Path) -> None:
    """Of what is wrong in it, and of what is no JSON."""
    seed = tmp_path / "seed.json"
    seed.write_text('{"users": [\n  "anna",\n  {"username": "bert", "lang": 7}\n]}', "utf-8")
    with pytest.raises(SeedError, match=r"seed\.json, line 3: users\.1\.lang"):
        async with running(seed):
            pass  # pragma: no cover
    seed.write_text('{"users": [\n  "anna" "bert"\n]}', "utf-8")
    with pytest.raises(SeedError, match=r"seed\.json is no JSON: .*line 2"):
        async with running(seed):
            pass  # pragma: no cover


async def test_without_pyyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON works, without lines; of YAML the message says what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "postroom.testing.yaml_files", raising=False)
    monkeypatch.delattr(postroom.testing, "yaml_files", raising=False)
    seed = tmp_path / "seed.json"
    seed.write_text('{"users": ["anna"]}', "utf-8")
    async with running(seed) as server:
        assert (await server.admin.get("/domains/1/users"))["count"] == 1
    with pytest.raises(SeedError, match=r"pip install 'postroom\[testing\]'"):
        async with running(seed.rename(tmp_path / "seed.yaml")):
            pass  # pragma: no cover


async def test_a_file_that_is_not_there() -> None:
    """The message has its name; it is a HarnessError like all others."""
    with pytest.raises(HarnessError, match=r"The seed nowhere\.yaml cannot be read"):
        async with running("nowhere.yaml"):
            pass  # pragma: no cover


def test_another_seed_is_the_beginning_from_then_on() -> None:
    """One that cannot be planted changes nothing."""
    with running_in_thread({"users": ["anna"]}, clock="2026-12-24 08:00:00") as server:
        server.load_seed({"users": ["bert", "carl"]})
        server.admin.delete("/domains/1/users/1")
        with pytest.raises(SeedError):
            server.load_seed({"users": ["dora", "dora"]})
        assert server.admin.get("/domains/1/users")["count"] == 1
        server.reset()
        assert server.admin.get("/domains/1/users")["count"] == 2
