"""Tokens at every row of the route table: what a token may do is what its scope says, and never more."""

import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.admission import InPerson
from postroom.app.web.routing import Route, public
from tests.conftest import StartService
from tests.support import matrix
from tests.support.service import ADMIN_PASSWORD, Api, Service

pytestmark = pytest.mark.attack

#: What no token may be used for, whatever its owner may do.
PERSONAL = {f"{route.method} {route.path}" for route in ROUTES if isinstance(route.guard, InPerson)} | {"PUT /passwd"}
#: A token sees the tasks that it has started, unless it may read the system, and removes only these.
TASKS = ("GET /tasq/tasks/", "DELETE /tasq/tasks/", "POST /tasq/tasks/")
PUBLIC = {f"{route.method} {route.path}" for route in ROUTES if route.guard is public}


def expected(role: str, operation: str, statuses: str) -> str:
    """What a token that is limited to a role gets where somebody with the role gets these statuses."""
    places = len(statuses.split())
    row = operation.split("?", maxsplit=1)[0]
    if row in PERSONAL:
        return " ".join(["403"] * places)
    if row.startswith(TASKS) and role not in ("system", "system-ro"):
        return " ".join(["404"] * places)
    if row.startswith(TASKS[1:]) and role == "system-ro":
        return " ".join(["404"] * places)
    return statuses


@pytest.mark.parametrize("role", ["resetpasswd", "purge", "domain-ro", "domain", "org", "system-ro", "system"])
async def test_a_limited_token_is_like_a_role(role: str) -> None:
    """A token of a system administrator that is limited to what a role has gets at every place what the role gets."""
    wanted = {operation: expected(role, operation, row[role]) for operation, row in matrix.read().items()}
    assert await matrix.play(role, {}) == wanted


async def test_a_token_that_only_reads() -> None:
    """It reads what its owner reads; every other method is refused everywhere."""
    wanted, played = {}, await matrix.play("system", {"readOnly": True, "permissions": None})
    for operation, row in matrix.read().items():
        plain = operation.split("?", maxsplit=1)[0]
        statuses = expected("system", operation, row["system"])
        if not operation.startswith("GET ") and plain not in PUBLIC:
            statuses = " ".join(["403"] * len(statuses.split()))
        if operation.startswith("GET /domains/ldap/check"):
            # Nobody has configured a directory, which takes a write.
            assert "503" in played[operation]
            statuses = played[operation]
        wanted[operation] = statuses
    assert played == wanted


Spoil = Callable[[Service, Api, dict[str, Any]], Awaitable[object]]


async def _expire(service: Service, _: Api, made: dict[str, Any]) -> None:
    def change(connection: Any) -> None:
        connection.execute("UPDATE api_tokens SET expires = ? WHERE id = ?", (int(time.time()), made["ID"]))

    await service.context.database.write(change)


async def _revoke(_: Service, admin: Api, made: dict[str, Any]) -> None:
    await admin.delete(f"/tokens/{made['ID']}")


async def _suspend(_: Service, admin: Api, made: dict[str, Any]) -> None:
    await admin.patch(f"/domains/1/users/{made['owner']['ID']}", {"status": 1})


async def _delete_owner(_: Service, admin: Api, made: dict[str, Any]) -> None:
    await admin.delete(f"/domains/1/users/{made['owner']['ID']}")


async def _take_roles(_: Service, admin: Api, made: dict[str, Any]) -> None:
    await admin.patch(f"/domains/1/users/{made['owner']['ID']}/roles", {"roles": []})


async def _close_domain(_: Service, admin: Api, _made: dict[str, Any]) -> None:
    await admin.delete("/system/domains/1")


async def _move_away(_: Service, __: Api, ___: dict[str, Any]) -> None:
    """The test asks from elsewhere."""


SPOILS: dict[str, tuple[Spoil, str]] = {
    "expired": (_expire, "The token has expired"),
    "revoked": (_revoke, "The token is not valid, or not from this address"),
    "of a suspended owner": (_suspend, "The owner of the token may not log in"),
    "of a deleted owner": (_delete_owner, "The token is not valid, or not from this address"),
    "of an owner without a role": (_take_roles, "The owner of the token may not log in"),
    "of a closed domain": (_close_domain, "The owner of the token may not log in"),
    "from elsewhere": (_move_away, "The token is not valid, or not from this address"),
}


@pytest.mark.parametrize("kind", SPOILS)
async def test_a_token_that_is_no_good(start_service: StartService, kind: str) -> None:
    """Every operation that needs a login refuses it, with one sentence, although it was good a moment ago."""
    service = await start_service(
        service_networks=(), login_failures=0, trusted_proxies=(ip_network("127.0.0.1"), ip_network("::1"))
    )
    admin = await service.login("admin", ADMIN_PASSWORD)
    owner = await service.login_with(await admin.make_domain("staff.example"), ("SystemAdmin", {}))
    made = await owner.post("/tokens", {"name": "spoiled", "networks": ["192.0.2.0/24"]})
    api = Api(service, {"Authorization": f"Bearer {made['token']}", "X-Forwarded-For": "192.0.2.7"})
    await api.get("/system/users")
    spoil, reason = SPOILS[kind]
    await spoil(service, admin, made)
    if kind == "from elsewhere":
        api.headers["X-Forwarded-For"] = "192.0.2.7, 198.51.100.1"
    for route in ROUTES:
        if route.guard is not public:
            answer = await api.call(
                route.method, path_of(route), {} if route.method in ("POST", "PUT", "PATCH") else None
            )
            assert (answer.status, answer.body["error"]) == (401, reason), (route.method, route.path)


def path_of(route: Route) -> str:
    """The path with something in place of each name."""
    return route.path.translate({ord("{"): None, ord("}"): None}).replace("domainID", "1").replace("userID", "1")
