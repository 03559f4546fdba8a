"""Who gets in where, over HTTP."""

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.admission import InPerson
from postroom.app.web.routing import AddressOr, public
from tests.support.service import Api, Service

#: permission of a user -> statuses of: read own domain, write own, read other, write other, system read, system write
MATRIX = [
    ("SystemAdmin", {}, (200, 200, 200, 200, 200, 201)),
    ("SystemAdminRO", {}, (200, 403, 200, 403, 200, 403)),
    ("DomainAdmin", {"domain_id": 1}, (200, 200, 403, 403, 403, 403)),
    ("DomainAdmin", {"everything": True}, (200, 200, 200, 200, 403, 403)),
    ("DomainAdminRO", {"domain_id": 1}, (200, 403, 403, 403, 403, 403)),
    ("OrgAdmin", {"org_id": 1}, (200, 200, 403, 403, 403, 403)),
    ("DomainPurge", {"domain_id": 1}, (403, 403, 403, 403, 403, 403)),
    ("ResetPasswd", {}, (403, 403, 403, 403, 403, 403)),
]


@pytest.fixture
async def two_domains(admin: Api) -> tuple[str, str]:
    """Paths of a user in domain 1, which belongs to organisation 1, and of one in domain 2."""
    await admin.post("/system/orgs", {"name": "Acme"})
    await admin.make_domain("one.org", orgID=1)
    await admin.make_domain("two.org")
    one, two = await admin.make_user(1, "jane"), await admin.make_user(2, "john")
    return f"/domains/1/users/{one['ID']}", f"/domains/2/users/{two['ID']}"


@pytest.mark.parametrize(("permission", "about", "expected"), MATRIX)
async def test_matrix(
    service: Service,
    two_domains: tuple[str, str],
    permission: str,
    about: dict[str, int],
    expected: tuple[int, ...],
) -> None:
    """Each permission opens its doors and no others."""
    caller = await service.login_with(1, (permission, about))
    own, other = two_domains
    answers = [
        await caller.call("GET", own),
        await caller.call("PATCH", own, {"smtp": True}),
        await caller.call("GET", other),
        await caller.call("PATCH", other, {"smtp": True}),
        await caller.call("GET", "/system/orgs"),
        await caller.call("POST", "/system/orgs", {"name": "New"}),
    ]
    assert tuple(answer.status for answer in answers) == expected


async def test_every_row_but_the_public_ones_needs_a_login(service: Service) -> None:
    """Without a login every operation that is not public answers 401, before it looks at anything else."""
    for route in ROUTES:
        if route.guard is not public and not isinstance(route.guard, AddressOr):
            path = route.path.format(domainID=1, userID=1, ID=1, deviceID="phone", sessionID="x", username="jane")
            await service.api.refused(401, route.method, path, {"nonsense": 1})


async def test_a_role_without_permissions_may_only_log_in(service: Service, admin: Api, domain: int) -> None:
    """A caller who may nothing sees the profile, no domain, no tasks, and 403 everywhere else."""
    caller = await service.login_with(domain)
    assert (await caller.get("/profile"))["capabilities"] == []
    assert await caller.get("/domains") == {"count": 0, "data": []}
    assert await caller.get("/system/domains") == {"count": 0, "data": []}
    assert await caller.get("/tasq/tasks") == {"count": 0, "data": []}
    for route in ROUTES:
        if (
            route.guard is public
            or isinstance(route.guard, AddressOr)
            or (route.path in ("/profile", "/domains", "/system/domains", "/tasq/tasks") and route.method == "GET")
            or isinstance(route.guard, InPerson)  # what is one's own
        ):
            continue
        if route.path.startswith("/tasq/tasks/"):
            await caller.refused(404, route.method, route.path.format(ID=1))
            continue
        path = route.path.format(domainID=domain, userID=1, ID=1, deviceID="phone", sessionID="x", username="jane")
        await caller.refused(403, route.method, path, {"nonsense": 1})


async def test_domains_that_the_caller_may_read(service: Service, admin: Api, two_domains: tuple[str, str]) -> None:
    """Lists of domains show each caller their own, also a domain that joins an organisation later."""
    caller = await service.login_with(1, ("OrgAdmin", {"org_id": 1}))
    assert [each["domainname"] for each in (await caller.get("/domains"))["data"]] == ["one.org"]
    await admin.patch("/system/domains/2", {"orgID": 1})
    assert [each["domainname"] for each in (await caller.get("/system/domains"))["data"]] == ["one.org", "two.org"]
    await admin.delete("/system/orgs/1")
    assert (await caller.get("/domains"))["data"] == []


async def test_homeserver_of_others_is_ignored(service: Service, admin: Api, domain: int) -> None:
    """Who is no SystemAdmin cannot set a homeserver, and sending one is no error."""
    caller = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    user = await caller.make_user(domain, "jane", homeserver=7)
    assert user["homeserver"] is None
    await caller.patch(f"/domains/{domain}/users/{user['ID']}", {"homeserver": 7})


async def test_changing_the_domain_itself(service: Service, admin: Api, two_domains: tuple[str, str]) -> None:
    """A domain is changed by administrators of its organisation, and purged by those who may purge."""
    domain_admin = await service.login_with(1, ("DomainAdmin", {"domain_id": 1}), name="da")
    org_admin = await service.login_with(2, ("OrgAdmin", {"org_id": 1}), name="oa")
    purger = await service.login_with(2, ("DomainPurge", {"domain_id": 1}), name="dp")
    await domain_admin.refused(403, "PATCH", "/system/domains/1", {"maxUser": 1000})
    await org_admin.patch("/system/domains/1", {"title": "One"})
    assert "orgID" in await org_admin.refused(400, "PATCH", "/system/domains/1", {"orgID": 0})
    await org_admin.refused(403, "DELETE", "/system/domains/1?purge=true")
    await purger.refused(403, "DELETE", "/system/domains/1")
    await purger.delete("/system/domains/1?purge=true")
    await admin.refused(404, "GET", "/system/domains/1")
