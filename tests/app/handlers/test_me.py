"""What users look after themselves, below /me: with and without a role, and who may not."""

from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.admission import Own
from postroom.schemas.values.self_service import DEFAULT, SUBJECTS
from tests.support.people import CONFIG, add_person, document
from tests.support.service import USER_PASSWORD, Api, Service
from tests.support.slapd import USER_PASSWORD as OF_DIRECTORY
from tests.support.slapd import Slapd

#: What is put under a subject, and the document that shows it.
PUT: dict[str, tuple[str, Any]] = {
    "oof": ("/me/oof", {"state": 1, "internalSubject": "Away"}),
    "forward": ("/me/forward", {"forward": {"forwardType": 1, "destination": "far@example.net"}}),
    "delegates": ("/me/delegates", ["bert@example.org"]),
    "sendas": ("/me/sendas", ["bert@example.org"]),
}
NO_MAILBOX = "This is about a mailbox, and admin has none"


@pytest.fixture
async def anna(admin: Api, domain: int) -> dict[str, Any]:
    """A user without a role, in a domain that lets its users change everything."""
    await admin.patch(f"/system/domains/{domain}", {"selfService": list(SUBJECTS)})
    return await admin.make_user(
        domain, "anna", aliases=["a@example.org"], altnames=[{"altname": "anna"}], lang="de_DE",
        properties={"displayname": "Anna Ä.", "storagequotalimit": "10M"},
    )  # fmt: skip


def sample(path: str) -> str:
    """A path of the route table with something in the place of each name."""
    return path.format(domainID=1, userID=1, deviceID="phone", username="anna@example.org", ID=1, sessionID="x")


async def test_a_login_without_a_role_is_for_oneself_alone(service: Service, anna: dict[str, Any]) -> None:
    """POST /login refuses such a user, as ever. By POST /me/login they get in, and every other operation that needs a
    login is a 403.
    """
    await service.api.refused(401, "POST", "/login", {"user": anna["username"], "pass": USER_PASSWORD})
    own = await service.log_in_own("ANNA")
    refused = 0
    for route in ROUTES:
        if route.guard is None or isinstance(route.guard, Own) or "/service/" in route.path:
            continue
        reason = await own.refused(403, route.method, sample(route.path), {} if route.method != "GET" else None)
        assert reason.startswith("You have no role, so you may use what is below /me and nothing else"), route.path
        refused += 1
    assert refused > 90
    assert (await own.get("/me"))["username"] == anna["username"]


async def test_service_trusts_no_login_without_a_role(start_service: Any) -> None:
    """Below /service, where the address is not trusted, it is a 403 as well."""
    service = await start_service(service_networks=())
    admin = await service.login("admin", "correct horse")
    await admin.make_user(await admin.make_domain("example.org"), "anna")
    own = await service.log_in_own("anna@example.org")
    for route in ROUTES:
        if "/service/" in route.path:
            await own.refused(403, route.method, sample(route.path), {} if route.method != "GET" else None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"user": "anna@example.org", "pass": "wrong"}, 401),
        ({"user": "nobody@example.org", "pass": USER_PASSWORD}, 401),
        ({"user": "suspended@example.org", "pass": USER_PASSWORD}, 401),
        ({"user": "hall@example.org", "pass": USER_PASSWORD}, 401),
        ({"user": "contact-4", "pass": USER_PASSWORD}, 401),
        ({"user": "anna@example.org"}, 400),
        ({"user": "anna@example.org", "pass": 1}, 400),
        ({}, 400),
    ],
)
async def test_who_gets_in_without_a_role(
    service: Service, admin: Api, domain: int, anna: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    """Active users alone, with one answer for all others; shared mailboxes and contacts log in nowhere."""
    await admin.make_user(domain, "suspended", status=1)
    await admin.make_user(domain, "hall", status=4)
    await admin.make_user(domain, "x@example.net", status=5)
    reason = await service.api.refused(status, "POST", "/me/login", body)
    assert status == 400 or reason.startswith("Login failed")
    assert anna["roles"] == []


async def test_renewing_a_login_without_a_role(service: Service, anna: dict[str, Any]) -> None:
    """POST /me/login renews it, with the cookie as well; POST /login does not."""
    own = await service.log_in_own(anna["username"])
    renewed = (await own.call("POST", "/me/login")).body
    cookie = Api(service, {"Cookie": f"grommunioAuthJwt={renewed['grommunioAuthJwt']}"})
    assert (await cookie.get("/me"))["ID"] == anna["ID"]
    await cookie.refused(401, "PUT", "/me/oof", {"state": 1})
    await cookie.put("/me/oof", {"state": 1}, headers={"X-Csrf-Token": renewed["csrf"]})
    assert "POST /me/login" in await own.refused(401, "POST", "/login")
    assert len((await own.get("/me/sessions"))["data"]) == 1


async def test_a_role_comes_and_goes(service: Service, admin: Api, domain: int, anna: dict[str, Any]) -> None:
    """With a first role, the login may do at once what that allows; with the last one it ends."""
    own, path = await service.log_in_own(anna["username"]), f"/domains/{domain}/users/{anna['ID']}"
    role = await admin.post(
        "/system/roles", {"name": "readers", "permissions": [{"permission": "DomainAdminRO", "params": domain}]}
    )
    await own.refused(403, "GET", path)
    await admin.patch(f"{path}/roles", {"roles": [role["ID"]]})
    await own.get(path)
    assert (await own.get("/me"))["capabilities"] == ["DomainAdminRead"]
    await admin.patch(f"{path}/roles", {"roles": []})
    await own.refused(401, "GET", "/me")


async def test_who_one_is(service: Service, admin: Api, domain: int, anna: dict[str, Any]) -> None:
    """Names, quota, and what the domain lets its users change."""
    own = await service.log_in_own(anna["username"])
    shown = await own.get("/me")
    assert len(shown.pop("now")) == 19
    assert shown == {
        "ID": anna["ID"], "username": "anna@example.org", "displayname": "Anna Ä.", "domainID": domain,
        "mailbox": True, "lang": "de_DE", "ldap": False, "aliases": ["a@example.org"], "altnames": ["anna"],
        "quota": {"storagequotalimit": 10240, "prohibitsendquota": None, "prohibitreceivequota": None},
        "selfService": list(SUBJECTS), "capabilities": [], "timezone": "UTC",
    }  # fmt: skip
    await admin.patch(f"/system/domains/{domain}", {"selfService": None})
    assert (await own.get("/me"))["selfService"] == list(DEFAULT)


async def test_the_administrator_has_no_mailbox(admin: Api) -> None:
    """Who they are and their logins are shown; what is about a mailbox is a 400 that says so."""
    shown = await admin.get("/me")
    assert (shown["ID"], shown["mailbox"], shown["domainID"], shown["selfService"]) == (0, False, None, [])
    assert (await admin.get("/me/sessions"))["data"][0]["current"]
    for route in ROUTES:
        if isinstance(route.guard, Own) and route.path != "/me" and "/sessions" not in route.path:
            body = next((body for path, body in PUT.values() if path == route.path), {"password": "correct horse"})
            reason = await admin.refused(400, route.method, sample(route.path), body if route.method != "GET" else None)
            assert reason == NO_MAILBOX + " | ", route.path


@pytest.mark.parametrize("subject", PUT)
async def test_changing_ones_own(service: Service, admin: Api, domain: int, anna: dict[str, Any], subject: str) -> None:
    """The administrator sees what the user has stored. It is on record as the user's doing. A change by an older
    version is a 412.
    """
    own, (path, body) = await service.log_in_own(anna["username"]), PUT[subject]
    before = (await own.call("GET", path)).headers["ETag"]
    stored = (await own.call("PUT", path, body, headers={"If-Match": before})).headers["ETag"]
    shown = await own.call("GET", path)
    assert shown.headers["ETag"] == stored != before
    assert "Somebody else" in await own.refused(412, "PUT", path, body, headers={"If-Match": before})
    everybody = f"/domains/{domain}/users/{anna['ID']}"
    if subject == "forward":
        assert shown.body["forward"] == (await admin.get(everybody))["forward"] == body["forward"]
    else:
        assert shown.body == await admin.get(everybody + path.removeprefix("/me"))
    change = (await admin.get("/audit?limit=1"))["data"][0]
    assert (change["actor"], change["means"]) == (anna["username"], "session")
    assert change["operation"].startswith("putMy")


@pytest.mark.parametrize("subject", PUT)
async def test_what_the_domain_does_not_let_its_users_change(
    service: Service, admin: Api, domain: int, anna: dict[str, Any], subject: str
) -> None:
    """It is a 403 with the reason from the next request on, also for administrators of the domain; all else works."""
    own, boss = await service.log_in_own(anna["username"]), await service.login_with(domain, ("SystemAdmin", {}))
    others = [each for each in SUBJECTS if each != subject]
    await admin.patch(f"/system/domains/{domain}", {"selfService": others})
    for api in (own, boss):
        reason = await api.refused(403, "PUT", *PUT[subject])
        assert reason.startswith(f"The users of your domain may not change this themselves ({subject})")
        await api.get(PUT[subject][0])
        assert (await api.get("/me"))["selfService"] == others
    for other in PUT.keys() - {subject}:
        await own.put(*PUT[other])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/me/forward", {"forward": {"forwardType": 2, "destination": "a@example.net"}}),
        ("/me/forward", {"forward": {"forwardType": 0, "destination": "nowhere"}}),
        ("/me/forward", {"forward": {"forwardType": 0, "destination": "a@example.net", "username": "b@example.org"}}),
        ("/me/forward", {"forward": []}),
        ("/me/forward", {}),
        ("/me/forward", []),
        ("/me/delegates", ["nowhere"]),
        ("/me/delegates", [f"a{number}@example.org" for number in range(10_001)]),
        ("/me/sendas", {"data": []}),
        ("/me/oof", {"state": 3}),
        ("/me/oof", {"state": 2}),
        ("/me/oof", {"internalSubject": "two\nlines"}),
    ],
)
async def test_bad_input(service: Service, anna: dict[str, Any], path: str, body: Any) -> None:
    """The rules are those of administrators: a 400, and nothing is stored."""
    own = await service.log_in_own(anna["username"])
    before = await own.get(path)
    await own.refused(400, "PUT", path, body)
    assert await own.get(path) == before


async def test_removing_a_forward(service: Service, anna: dict[str, Any]) -> None:
    """Null removes it, also where there is none."""
    own = await service.log_in_own(anna["username"])
    await own.put(*PUT["forward"])
    for _ in range(2):
        await own.put("/me/forward", {"forward": None})
        assert await own.get("/me/forward") == {"forward": None}


async def test_devices(service: Service, admin: Api, domain: int, anna: dict[str, Any]) -> None:
    """Resync, removal and wipe are those of the user's own devices; only an administrator undoes a wipe."""
    bert = await admin.make_user(domain, "bert")
    for name, device in (("anna", "phone"), ("anna", "tablet"), ("bert", "bertphone")):
        await service.api.put(f"/service/sync/{name}@example.org/{device}", {"devicetype": "Telephone"})
    own = await service.log_in_own(anna["username"])
    assert [each["deviceid"] for each in (await own.get("/me/sync"))["data"]] == ["phone", "tablet"]
    await own.put("/me/sync/phone/resync")
    told = await service.api.put("/service/sync/anna@example.org/phone", {})
    assert told["data"]["resync"]
    await own.delete("/me/sync/tablet")
    await own.refused(404, "DELETE", "/me/sync/tablet")
    await own.refused(404, "DELETE", "/me/sync/bertphone")
    await own.refused(404, "PUT", "/me/sync/bertphone/resync")
    await own.refused(400, "DELETE", f"/me/sync/{'x' * 65}")
    for wrong in ({}, {"password": "wrong"}):
        await own.refused(403, "POST", "/me/sync/phone/wipe", wrong)
    await own.refused(404, "POST", "/me/sync/bertphone/wipe", {"password": USER_PASSWORD})
    await own.call("POST", "/me/sync/phone/wipe", {"password": USER_PASSWORD})
    assert (await own.get("/me/sync"))["data"][0]["wipeStatus"] == 2
    assert "only an administrator" in await own.refused(403, "DELETE", "/me/sync/phone")
    await own.refused(405, "DELETE", "/me/sync/phone/wipe")
    await admin.delete(f"/domains/{domain}/users/{anna['ID']}/sync/phone/wipe")
    history = (await own.get("/me/sync/phone/wipe"))["data"]
    assert [each["status"] for each in history] == [1, 2]
    assert history == (await admin.get(f"/domains/{domain}/users/{anna['ID']}/sync/phone/wipe"))["data"]
    await own.delete("/me/sync/phone")
    assert len((await own.get("/me/sync/phone/wipe"))["data"]) == 3
    assert (await own.get("/me/sync/bertphone/wipe"))["data"] == []
    assert len((await admin.get(f"/domains/{domain}/users/{bert['ID']}/sync"))["data"]) == 1
    await admin.patch(f"/system/domains/{domain}", {"selfService": []})
    for method, path in (("DELETE", ""), ("PUT", "/resync"), ("POST", "/wipe")):
        body = {"password": USER_PASSWORD} if method == "POST" else None
        assert "(devices)" in await own.refused(403, method, f"/me/sync/phone{path}", body)


async def test_sessions(service: Service, domain: int, anna: dict[str, Any]) -> None:
    """They are listed, ended one by one, all others, and all: log out everywhere. Those of others stay."""
    boss = await service.login_with(domain, ("SystemAdmin", {}), name="boss")
    logins = [await service.log_in_own(anna["username"]) for _ in range(4)]
    listed = (await logins[0].get("/me/sessions"))["data"]
    assert [each["current"] for each in listed] == [True, False, False, False]
    (of_boss,) = (await boss.get("/me/sessions"))["data"]
    await logins[0].refused(404, "DELETE", f"/me/sessions/{of_boss['ID']}")
    ended = (await logins[3].get("/me/sessions"))["data"][0]["ID"]
    await logins[0].delete(f"/me/sessions/{ended}")
    await logins[3].refused(401, "GET", "/me")
    await logins[0].delete("/me/sessions?others=true")
    await logins[1].refused(401, "GET", "/me")
    again = await service.log_in_own(anna["username"])
    await again.delete("/me/sessions")
    for api in (logins[0], again):
        await api.refused(401, "GET", "/me")
        await api.refused(401, "POST", "/me/login")
    await boss.get("/me")


async def test_ones_own_password(service: Service, anna: dict[str, Any]) -> None:
    """PUT /passwd needs no role, but a login or a name; it ends all other logins."""
    own, other = await service.log_in_own(anna["username"]), await service.log_in_own(anna["username"])
    await own.refused(403, "PUT", "/passwd", {"old": "wrong", "new": "a new password"})
    await own.put("/passwd", {"old": USER_PASSWORD, "new": "a new password"})
    await other.refused(401, "GET", "/me")
    await own.get("/me")
    await service.log_in_own(anna["username"], "a new password")


async def test_no_token_is_for_what_is_ones_own(service: Service, admin: Api, domain: int) -> None:
    """A token for programs has rights over domains, none of which is about its owner's mailbox. And who has no role
    gets none.
    """
    boss = await service.login_with(domain, ("SystemAdmin", {}))
    token = (await boss.post("/tokens", {"name": "program"}))["token"]
    program = Api(service, {"Authorization": f"Bearer {token}"})
    for route in ROUTES:
        if isinstance(route.guard, Own):
            asked = program.refused(403, route.method, sample(route.path), None if route.method == "GET" else {})
            assert "needs a login" in await asked
    await program.refused(401, "POST", "/me/login")
    user = await admin.make_user(domain, "anna")
    assert "may not log in" in await admin.refused(400, "POST", "/tokens", {"name": "x", "owner": user["ID"]})


@pytest.mark.parametrize("what", ["suspended", "deleted", "domain suspended", "domain deleted", "linked"])
async def test_whoever_leaves_is_out_at_once(
    service: Service, admin: Api, domain: int, anna: dict[str, Any], what: str
) -> None:
    """The login ends with the next request, and does not come back."""
    own, path = await service.log_in_own(anna["username"]), f"/domains/{domain}/users/{anna['ID']}"
    await own.get("/me")
    if what == "suspended":
        await admin.patch(path, {"status": 1})
    elif what == "deleted":
        await admin.delete(path)
    elif what == "linked":
        await service.context.database.write(
            lambda connection: connection.execute("UPDATE users SET ldap_id = 'x' WHERE id = ?", (anna["ID"],))
        )
    else:
        await admin.patch(f"/system/domains/{domain}", {"domainStatus": 1 if "suspended" in what else 3})
    await own.refused(401, "GET", "/me")
    await own.refused(401, "PUT", "/me/oof", {"state": 1})
    if what == "suspended":
        await admin.patch(path, {"status": 0})
        await own.refused(401, "GET", "/me")


async def test_users_of_other_domains_have_other_rules(service: Service, admin: Api, anna: dict[str, Any]) -> None:
    """What one domain lets its users change says nothing of another; nobody reaches anybody else's."""
    other = await admin.make_domain("example.net")
    bert = await admin.make_user(other, "bert")
    berts, own = await service.log_in_own(bert["username"]), await service.log_in_own(anna["username"])
    await own.put(*PUT["forward"])
    await berts.refused(403, "PUT", *PUT["forward"])
    assert await berts.get("/me/forward") == {"forward": None}


async def test_failures_at_both_logins_count_together(start_service: Any) -> None:
    """Guesses at one of them delay the next at the other."""
    service = await start_service(login_failures=2)
    admin = await service.login("admin", "correct horse")
    await admin.make_user(await admin.make_domain("example.org"), "anna")
    for path in ("/login", "/me/login"):
        await service.api.refused(401, "POST", path, {"user": "anna@example.org", "pass": "wrong"})
    for path in ("/login", "/me/login"):
        answer = await service.api.call("POST", path, {"user": "anna@example.org", "pass": USER_PASSWORD})
        assert answer.status == 429


@pytest.mark.slapd
async def test_users_of_a_directory(service: Service, admin: Api, domain: int) -> None:
    """They log in with the password that the directory has, and change it there."""
    with Slapd() as directory:
        add_person(directory, "anna", f"userPassword: {OF_DIRECTORY}", mail="anna@example.org")
        await admin.put(CONFIG, document(directory))
        await admin.call("POST", f"/domains/{domain}/ldap/downsync?import=true&timeout=60")
        own = await service.log_in_own("anna@example.org", OF_DIRECTORY)
        assert (await own.get("/me"))["ldap"]
        await own.put("/me/oof", {"state": 1})
        reason = await own.refused(400, "PUT", "/passwd", {"old": OF_DIRECTORY, "new": "a new password"})
        assert "kept in LDAP" in reason
        await own.call("POST", "/me/login")
        await service.api.refused(401, "POST", "/login", {"user": "anna@example.org", "pass": OF_DIRECTORY})
