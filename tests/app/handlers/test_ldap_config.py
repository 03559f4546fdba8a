"""Configuring a directory: what is read may be put, whether the server answers, and who changes it at the same time."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings

from postroom.app.services import directories
from postroom.storage.ldap_configs import select_ldap_config
from tests.conftest import StartService
from tests.schemas.test_ldap_schema import any_document
from tests.support.faults import MODES, answering, fault_server, waiting_server
from tests.support.people import CONFIG, add_person, document, sync
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.support.slapd import Slapd

#: A directory that has a base and nobody below it.
BASE = {"dc=x": {"dc": [b"x"]}}

#: What a console's form has of `users`.
FORM = (
    "username", "displayName", "attributes", "defaultQuota", "filter", "contactFilter", "templates", "searchAttributes",
    "aliases",
)  # fmt: skip


@pytest.fixture
def slapd() -> Iterator[Slapd]:
    """A server of the test's own, without people."""
    with Slapd() as server:
        yield server


@pytest.fixture(params=["all", "organisation"])
async def path(request: pytest.FixtureRequest, admin: Api) -> str:
    """Where a configuration stands: the one for all, and an organisation's own."""
    if request.param == "all":
        return CONFIG
    org_id = (await admin.post("/system/orgs", {"name": "Org"}))["ID"]
    return f"/system/orgs/{org_id}/ldap"


def plain(address: str, **connection: Any) -> dict[str, Any]:
    """The smallest configuration of a server."""
    return {
        "connection": {"server": address, "bindUser": "cn=x", "bindPass": "secret", **connection},
        "baseDn": "dc=x",
        "objectID": "uid",
        "users": {"username": "mail"},
    }


async def test_a_client_that_changes_one_field(admin: Api, slapd: Slapd, path: str) -> None:
    """What a read answers is taken back with one field changed, changes nothing else, and the directory goes on."""
    small = {**document(slapd), "users": {"username": "mail"}}
    await admin.put(path, small)
    shown = (await admin.get(path))["data"]
    assert (shown["disabled"], shown["enableContacts"]) == (False, True)
    assert shown["groups"] == dict.fromkeys(("groupMemberAttr", "groupaddr", "groupfilter", "groupname"), "")
    assert shown["users"]["filters"] == shown["users"]["searchAttributes"] == shown["users"]["templates"] == []
    await admin.put(path, shown)
    assert (await admin.get(path))["data"] == shown
    await admin.put(path, {**shown, "users": {**shown["users"], "displayName": "cn"}})
    after = await admin.get(path)
    assert after == {"ldapAvailable": True, "data": {**shown, "users": {**shown["users"], "displayName": "cn"}}}
    assert slapd.bind_password not in str(after)


async def test_the_form_of_a_console(admin: Api, slapd: Slapd, path: str) -> None:
    """A form that shows a read and sends its fields with an empty password keeps the directory switched on."""
    await admin.put(path, document(slapd))
    shown = (await admin.get(path))["data"]
    users = shown["users"]
    form = {
        **{name: shown[name] for name in ("baseDn", "objectID", "disabled", "groups")},
        "connection": {**shown["connection"], "bindPass": ""},
        "users": {name: users[name] for name in FORM},
    }
    await admin.put(path, form, params={"force": "false"})
    assert await admin.get(path) == {"ldapAvailable": True, "data": shown}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_document=any_document())
async def test_whatever_is_put_comes_back_and_may_be_put_again(admin: Api, given_document: dict[str, Any]) -> None:
    """Any configuration is read as one that may be put, and that is read the same again."""
    await admin.put(CONFIG, {**given_document, "disabled": True})
    shown = await admin.get(CONFIG)
    assert shown["ldapAvailable"] is False
    await admin.put(CONFIG, shown["data"])
    assert await admin.get(CONFIG) == shown


async def test_contacts_may_be_left_alone(admin: Api, slapd: Slapd) -> None:
    """With enableContacts off contacts are neither imported nor updated, by nobody, and nothing is wrong with that."""
    users = {
        "filter": "(&(objectClass=inetOrgPerson)(!(title=guest)))", "contactFilter": "(title=guest)",
        "attributes": {"employeeType": "displaytypeex"},
    }  # fmt: skip
    domain = await admin.make_domain("example.com")
    add_person(slapd, "guest", "title: guest", mail="guest@far.away")
    add_person(slapd, "kind", "employeeType: 6", mail="kind@far.away")
    add_person(slapd, "anna")
    await admin.put(CONFIG, document(slapd, users=users, enableContacts=False))
    answer = await sync(admin, **{"import": "true"})
    assert [item["username"] for item in answer["data"]] == ["anna@example.com"]
    found = await admin.get("/domains/ldap/search", params={"query": "far.away", "showAll": "true"})
    assert [("enableContacts" in person["error"]) for person in found["data"]] == [True]
    await admin.refused(404, "POST", "/domains/ldap/importUser?ID=guest")
    assert "enableContacts" in await admin.refused(400, "POST", "/domains/ldap/importUser?ID=kind")
    await admin.put(CONFIG, document(slapd, users=users))
    assert len((await sync(admin, **{"import": "true"}))["data"]) == 3
    contacts = (await admin.get(f"/domains/{domain}/users?status=5&level=2"))["data"]
    assert len(contacts) == 2
    await admin.put(CONFIG, document(slapd, users={**users, "displayName": "uid"}, enableContacts=False))
    answer = await sync(admin, **{"import": "true", "unlink": "true"})
    assert [item["action"] for item in answer["data"]].count("unchanged") == 2
    assert (await admin.get(f"/domains/{domain}/users?status=5&level=2"))["data"] == contacts
    for contact in contacts:
        refused = await admin.refused(400, "PUT", f"/domains/{domain}/users/{contact['ID']}/downsync")
        assert "enableContacts" in refused
    assert (await admin.get("/domains/ldap/check"))["orphaned"] == []


async def test_whether_the_server_answers(admin: Api, slapd: Slapd, path: str) -> None:
    """`ldapAvailable` is what the server does at this moment, and not what it did when it was configured."""
    await admin.put(path, document(slapd))
    assert (await admin.get(path))["ldapAvailable"] is True
    slapd.stop()
    assert (await admin.get(path))["ldapAvailable"] is False
    slapd.start()
    assert (await admin.get(path))["ldapAvailable"] is True
    for wrong in ({"baseDn": "ou=gone,dc=example,dc=com"}, {"disabled": True}):
        await admin.put(f"{path}?force=true", document(slapd, **wrong))
        assert (await admin.get(path))["ldapAvailable"] is False


@pytest.mark.parametrize("mode", MODES)
async def test_a_configuration_can_be_read_whatever_its_server_does(
    admin: Api, path: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken server is not available, which is known within two seconds, and the configuration is shown."""
    assert directories._PROBE_TIMEOUT <= 2
    monkeypatch.setattr(directories, "_PROBE_TIMEOUT", 0.4)
    async with fault_server(mode) as address:
        await admin.put(f"{path}?force=true", plain(address))
        begun = time.monotonic()
        shown = await admin.get(path)
        assert time.monotonic() - begun < directories._PROBE_TIMEOUT + 1
    assert shown["ldapAvailable"] is False
    assert shown["data"]["connection"]["server"] == address


async def test_a_second_server_has_its_share_of_the_time(admin: Api) -> None:
    """When the first of two servers hangs and the second one answers, the directory is available."""
    async with fault_server("silent") as silent, fault_server(answering(BASE)) as good:
        await admin.put(f"{CONFIG}?force=true", plain(f"{silent} {good}"))
        assert (await admin.get(CONFIG))["ldapAvailable"] is True


async def test_reads_at_the_same_time_ask_the_server_once(admin: Api) -> None:
    """Of many reads at the same time one asks the server, and a reader who goes away leaves the others their answer."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await asyncio.sleep(0.5)
        await answering(BASE)(reader, writer)

    async with fault_server(handler) as address:
        await admin.put(f"{CONFIG}?force=true", plain(address))
        hasty = asyncio.create_task(admin.get(CONFIG))
        await asyncio.sleep(0.1)
        others = [asyncio.create_task(admin.get(CONFIG)) for _ in range(5)]
        await asyncio.sleep(0.1)
        hasty.cancel()
        assert [answer["ldapAvailable"] for answer in await asyncio.gather(*others)] == [True] * 5
    assert connections == 1


async def test_a_fault_of_ours_does_not_hide_the_configuration(
    admin: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong while the server is tried, the configuration can be read; the log has the traceback."""

    def broken(*_: object) -> None:
        raise RuntimeError("surprise")

    await admin.put(f"{CONFIG}?force=true", plain("127.0.0.1"))
    monkeypatch.setattr(directories, "from_document", broken)
    assert (await admin.get(CONFIG))["ldapAvailable"] is False
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("first", [None, "ldap://former.example"])
async def test_a_change_during_the_test_is_not_overwritten(admin: Api, path: str, first: str | None) -> None:
    """Who tests a configuration while somebody else stores another one is told so with 409; that one stays."""
    if first is not None:
        await admin.put(f"{path}?force=true", plain(first))
    async with waiting_server(BASE) as (address, asked, go_on):
        slow = asyncio.create_task(admin.refused(409, "PUT", path, plain(address)))
        await asked.wait()
        await admin.put(f"{path}?force=true", plain("ldap://other.example"))
        go_on.set()
        assert "somebody else" in await slow
        shown = await admin.get(path)
        assert shown["data"]["connection"]["server"] == "ldap://other.example"
        # Looked at again, or forced, it goes.
        await admin.put(path, plain(address))
        assert (await admin.get(path))["data"]["connection"]["server"] == address


async def test_a_removal_during_the_test_stays_one(admin: Api, path: str) -> None:
    """A configuration that somebody removes while a change of it is being tested does not come back."""
    await admin.put(f"{path}?force=true", plain("ldap://former.example"))
    async with waiting_server(BASE) as (address, asked, go_on):
        slow = asyncio.create_task(admin.refused(409, "PUT", path, plain(address)))
        await asked.wait()
        await admin.delete(path)
        go_on.set()
        await slow
    assert await admin.get(path) == {"ldapAvailable": False, "data": {}}


async def test_the_same_twice_at_once_is_no_conflict(admin: Api, path: str) -> None:
    """A save that was clicked several times is stored, and all are told so."""
    async with waiting_server(BASE) as (address, asked, go_on):
        puts = [asyncio.create_task(admin.put(path, plain(address))) for _ in range(3)]
        await asked.wait()
        go_on.set()
        await asyncio.gather(*puts)
        assert (await admin.get(path))["ldapAvailable"] is True


async def test_an_organisation_that_goes_during_the_test(admin: Api) -> None:
    """A configuration for an organisation that is removed while it is being tested is a 404, and stored nowhere."""
    org_id = (await admin.post("/system/orgs", {"name": "Org"}))["ID"]
    async with waiting_server(BASE) as (address, asked, go_on):
        slow = asyncio.create_task(admin.refused(404, "PUT", f"/system/orgs/{org_id}/ldap", plain(address)))
        await asked.wait()
        await admin.delete(f"/system/orgs/{org_id}")
        go_on.set()
        await slow


async def test_a_password_is_told_to_no_other_server(admin: Api, slapd: Slapd, path: str) -> None:
    """The stored password is kept for the same servers, or fewer of them, and another one has to be given its own."""
    seen: list[bytes] = []

    async def listening(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(1000))

    async with fault_server(listening) as stranger, fault_server("closes") as away:
        both = document(slapd)
        both["connection"]["server"] = f"{away} {slapd.url}"
        await admin.put(path, both)
        shown = (await admin.get(path))["data"]
        fewer = {**shown, "connection": {**shown["connection"], "server": f"{slapd.url}/"}}
        await admin.put(path, fewer)
        elsewhere = {**shown, "connection": {**shown["connection"], "server": f"{slapd.url} {stranger}"}}
        assert "password" in await admin.refused(400, "PUT", path, elsewhere)
        alone = {**shown, "connection": {**shown["connection"], "server": stranger}}
        assert "password" in await admin.refused(400, "PUT", f"{path}?force=true", alone)
        assert (await admin.get(path))["data"]["connection"]["server"] == fewer["connection"]["server"]
    assert not any(slapd.bind_password.encode() in each for each in seen)


#: Changes of `connection` by which somebody else would be told the password, or others could read it on its way.
REDIRECTIONS: dict[str, dict[str, Any]] = {
    "another server": {"server": "evil.example.net"},
    "another port": {"server": "ldap://localhost:1389"},
    "no TLS": {"server": "ldap://localhost"},
    "one more server": {"server": "ldaps://localhost evil.example.net"},
    "one more in front": {"server": "evil.example.net ldaps://localhost ldaps://second"},
    "no StartTLS": {"starttls": False},
    "another user": {"bindUser": "cn=other"},
}


@pytest.mark.parametrize("change", REDIRECTIONS.values(), ids=REDIRECTIONS)
@pytest.mark.parametrize("missing", [{}, {"bindPass": None}, {"bindPass": ""}], ids=["omitted", "null", "empty"])
async def test_a_password_is_needed_again(
    admin: Api, service: Service, path: str, change: dict[str, Any], missing: dict[str, Any]
) -> None:
    """Who changes server, TLS or user of a configuration enters its password again, with force and disabled as well."""
    connection = {"server": "ldaps://localhost ldaps://second", "starttls": True}
    await admin.put(f"{path}?force=true", plain("x", **connection))
    stored = await stored_configuration(service)
    shown = (await admin.get(path))["data"]
    wanted = {**shown, "connection": {**shown["connection"], **missing, **change}}
    for query in ("", "?force=true"):
        for disabled in (False, True):
            reasons = await admin.refused(400, "PUT", path + query, {**wanted, "disabled": disabled})
            assert "connection.bindPass" in reasons
            assert f"connection.{next(iter(change))}" in reasons
            assert "secret" not in reasons
    assert await stored_configuration(service) == stored
    wanted["connection"]["bindPass"] = "new"
    await admin.put(f"{path}?force=true", wanted)
    assert (await stored_configuration(service))[0][1] == "new"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"server": "LDAPS://LOCALHOST:636/"},
        {"server": "ldaps://second ldaps://localhost"},
        {"server": "ldaps://second"},
    ],
)
async def test_a_password_is_kept_for_the_same(admin: Api, service: Service, path: str, change: dict[str, Any]) -> None:
    """Other spellings, another order and fewer of the same servers, and whatever is no connection, keep it."""
    await admin.put(f"{path}?force=true", plain("ldaps://localhost ldaps://second"))
    shown = (await admin.get(path))["data"]
    wanted = {**shown, "baseDn": "dc=y", "disabled": True, "connection": {**shown["connection"], **change}}
    await admin.put(path, wanted)
    assert (await stored_configuration(service))[0][1] == "secret"


async def test_without_a_user_the_password_is_forgotten(admin: Api, service: Service, path: str) -> None:
    """Whoever binds as nobody needs no password, and it does not come back with the next user."""
    await admin.put(f"{path}?force=true", plain("localhost"))
    shown = (await admin.get(path))["data"]
    anonymous = {**shown, "connection": {"server": "elsewhere.example.net"}}
    await admin.put(f"{path}?force=true", anonymous)
    assert (await stored_configuration(service))[0][1] is None
    await admin.put(f"{path}?force=true", {**shown, "connection": {**anonymous["connection"], "bindUser": "cn=x"}})
    assert (await stored_configuration(service))[0][1] is None


async def test_an_organisation_does_not_get_the_password_of_all(admin: Api, service: Service) -> None:
    """An organisation's own configuration begins without the password of the one for all, and ends with its own."""
    await admin.put(f"{CONFIG}?force=true", plain("localhost"))
    org_id = (await admin.post("/system/orgs", {"name": "Org"}))["ID"]
    path = f"/system/orgs/{org_id}/ldap"
    own = plain("localhost")
    del own["connection"]["bindPass"]
    await admin.put(f"{path}?force=true", own)
    assert [row[1] for row in await stored_configuration(service)] == ["secret", None]
    await admin.put(f"{path}?force=true", plain("localhost", bindPass="own"))
    await admin.delete(path)
    await admin.put(f"{path}?force=true", own)
    assert [row[1] for row in await stored_configuration(service)] == ["secret", None]


async def stored_configuration(service: Service) -> list[Any]:
    """(document, password) of every configuration."""
    database = service.context.database
    orgs = [row[0] for row in await database.fetch_all("SELECT org_id FROM ldap_configs ORDER BY id")]
    found = [await select_ldap_config(database, org_id) for org_id in orgs]
    return [(row.document, row.bind_pass) for row in found if row is not None]


async def test_times_are_in_the_configured_zone_everywhere(start_service: StartService) -> None:
    """A time of the directory is shown in the zone of all other times, by an update, an import and a plan alike."""
    service: Service = await start_service(timezone=ZoneInfo("Europe/Vienna"))
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    entry = {"mail": [b"anna@example.org"], "uid": [b"anna"], "born": [b"20240731120000Z"]}
    async with fault_server(answering({"cn=x": entry})) as address:
        config = plain(address)
        config["users"]["attributes"] = {"born": "birthday"}
        await admin.put(f"{CONFIG}?force=true", config)
        plan = await sync(admin, **{"import": "true", "dryRun": "true"})
        assert plan["data"][0]["changes"]["birthday"] == [None, "2024-07-31 14:00:00"]
        user = await admin.post("/domains/ldap/importUser?ID=anna")
        assert user["properties"]["birthday"] == "2024-07-31 14:00:00"
        again = await admin.put(f"/domains/{domain}/users/{user['ID']}/downsync")
        assert again["properties"]["birthday"] == "2024-07-31 14:00:00"
        assert [item["action"] for item in (await sync(admin))["data"]] == ["unchanged"]
