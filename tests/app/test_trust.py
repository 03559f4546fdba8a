"""Where a request comes from, and who is served below /service because of it."""

from ipaddress import ip_network
from typing import Any

import pytest

from postroom.app.callers import COOKIE
from postroom.app.config import Network, SettingError, load_config
from postroom.app.endpoints import AddressOr
from postroom.app.routes import ROUTES
from postroom.app.tokens import csrf_token
from postroom.app.trust import find_source
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service

LOCAL = (ip_network("127.0.0.1"), ip_network("::1"))
PROXIES = (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

#: peer, X-Forwarded-For, proxies -> address, whether it is certain
TABLE = [
    ("127.0.0.1", [], (), "127.0.0.1", True),
    ("::1", [], (), "::1", True),
    ("::ffff:127.0.0.1", [], (), "127.0.0.1", True),
    ("203.0.113.5", [], (), "203.0.113.5", True),
    # Nobody is known to be a proxy: the header shows one, or is made up.
    ("127.0.0.1", ["203.0.113.5"], (), "127.0.0.1", False),
    ("127.0.0.1", ["127.0.0.1"], (), "127.0.0.1", False),
    ("127.0.0.1", [""], (), "127.0.0.1", False),
    ("203.0.113.5", ["127.0.0.1"], PROXIES, "203.0.113.5", False),
    # Behind a proxy that is known.
    ("127.0.0.1", ["203.0.113.5"], PROXIES, "203.0.113.5", True),
    ("::ffff:10.1.2.3", ["203.0.113.5"], PROXIES, "203.0.113.5", True),
    ("fd00::1", [" 2001:db8::5 "], PROXIES, "2001:db8::5", True),
    ("127.0.0.1", ["127.0.0.1, 203.0.113.5"], PROXIES, "203.0.113.5", True),
    ("127.0.0.1", ["127.0.0.1", "203.0.113.5"], PROXIES, "203.0.113.5", True),
    ("127.0.0.1", ["203.0.113.5, 10.9.9.9"], PROXIES, "203.0.113.5", True),
    ("127.0.0.1", ["203.0.113.5", "10.9.9.9,10.8.8.8"], PROXIES, "203.0.113.5", True),
    ("127.0.0.1", ["127.0.0.1, ::ffff:203.0.113.5"], PROXIES, "203.0.113.5", True),
    # From the host of the proxy itself, past it or through it.
    ("127.0.0.1", [], PROXIES, "127.0.0.1", True),
    ("127.0.0.1", ["127.0.0.1"], PROXIES, "127.0.0.1", True),
    # Nothing that could be read as an address.
    ("127.0.0.1", [""], PROXIES, "", False),
    ("127.0.0.1", ["unknown"], PROXIES, "", False),
    ("127.0.0.1", ["127.0.0.1, _hidden"], PROXIES, "", False),
    ("127.0.0.1", ["127.0.0.1,"], PROXIES, "", False),
    ("127.0.0.1", ["127.0.0.1:80"], PROXIES, "", False),
    ("127.0.0.1", ["127.0.0.1/8"], PROXIES, "", False),
    (None, [], (), "", False),
    ("", ["127.0.0.1"], PROXIES, "", False),
]


@pytest.mark.parametrize(("peer", "forwarded_for", "proxies", "address", "certain"), TABLE)
def test_source(
    peer: str | None, forwarded_for: list[str], proxies: tuple[Network, ...], address: str, certain: bool
) -> None:
    """The source is the peer, or whom the nearest proxies that are known have seen; and nobody else is sure."""
    source = find_source(peer, forwarded_for, proxied=bool(forwarded_for), unreadable=False, proxies=proxies)
    assert (str(source), source.certain) == (address, certain)
    assert source.is_in(LOCAL) == (certain and address in ("127.0.0.1", "::1"))


@pytest.mark.parametrize("proxies", [(), PROXIES])
def test_a_header_that_is_not_read_spoils_all(proxies: tuple[Network, ...]) -> None:
    """With the header Forwarded nothing is certain, not even behind a known proxy: it may be the one the proxy sets."""
    source = find_source("127.0.0.1", ["127.0.0.1"], proxied=True, unreadable=True, proxies=proxies)
    assert not source.certain


def test_another_trace_of_a_proxy() -> None:
    """A proxy that shows itself by another header than X-Forwarded-For is a proxy all the same."""
    assert not find_source("127.0.0.1", [], proxied=True, unreadable=False, proxies=()).certain
    assert find_source("127.0.0.1", [], proxied=True, unreadable=False, proxies=PROXIES).certain


def test_networks_of_both_kinds() -> None:
    """An address is compared with networks of its own kind alone."""
    source = find_source("10.1.2.3", [], proxied=False, unreadable=False, proxies=())
    assert source.is_in((ip_network("::/0"), ip_network("10.0.0.0/8")))
    assert not source.is_in((ip_network("::/0"),))


def test_proxies_are_a_setting() -> None:
    """No proxy is trusted unless it is named, and a name that is no network is refused."""
    assert load_config(environ={}).trusted_proxies == ()
    environ = {"POSTROOM_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}
    assert load_config(environ=environ).trusted_proxies == PROXIES[:2]
    with pytest.raises(SettingError, match="POSTROOM_TRUSTED_PROXIES"):
        load_config(environ={"POSTROOM_TRUSTED_PROXIES": "proxy.example.org"})


ROWS = [route for route in ROUTES if route.path.startswith("/service/")]


def calls() -> list[tuple[str, str, Any]]:
    """A call that succeeds, for every row below /service."""
    bodies = {"POST": {"status": 1}, "PUT": {}}
    return [
        (
            route.method,
            route.path.format(username="jane@example.org", deviceID="a") + "?devices=a",
            bodies.get(route.method),
        )
        for route in ROWS
    ]


def test_rows_are_for_the_service() -> None:
    """Every row below /service has the need that asks where a request comes from, and no other row has."""
    assert [route for route in ROUTES if isinstance(route.need, AddressOr)] == ROWS


async def start_with_jane(start_service: StartService, **settings: Any) -> Service:
    """A service with these settings and a user jane@example.org."""
    service = await start_service(**settings)
    admin = await service.login("admin", ADMIN_PASSWORD)
    await admin.make_user(await admin.make_domain("example.org"), "jane")
    return service


async def test_trusted_address_needs_no_login(start_service: StartService) -> None:
    """From this host everything below /service is served, also with a token that does not count."""
    service = await start_with_jane(start_service)
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Cookie": f"{COOKIE}=nonsense"}):
        for method, path, body in calls():
            answer = await service.api.call(method, path, body, headers=headers)
            assert answer.status in (200, 201), (path, answer.body)


@pytest.mark.parametrize(
    ("permission", "reading", "writing"),
    [("SystemAdmin", True, True), ("SystemAdminRO", True, False), ("DomainAdmin", False, False), (None, False, False)],
)
async def test_permissions_elsewhere(
    start_service: StartService, permission: str | None, reading: bool, writing: bool
) -> None:
    """From elsewhere it takes a login (401) that may read or write everything (403)."""
    service = await start_with_jane(start_service, service_networks=(ip_network("192.0.2.0/24"),))
    held = [] if permission is None else [(permission, {"domain_id": 1} if permission == "DomainAdmin" else {})]
    caller = await service.login_with(1, *held)
    for method, path, body in calls():
        await service.api.refused(401, method, path, body)
        await Api(service, {"Authorization": "Bearer nonsense"}).refused(401, method, path, body)
        answer = await caller.call(method, path, body)
        assert (answer.status < 300) == (reading if method == "GET" else writing), (path, answer.body)
        assert answer.status in (200, 201, 403)


async def test_cookie_needs_its_csrf_token_elsewhere(start_service: StartService) -> None:
    """Where the cookie lets in, it does so for changes only together with its CSRF token."""
    service = await start_with_jane(start_service, service_networks=())
    token = (await service.login("admin", ADMIN_PASSWORD)).headers["Authorization"].removeprefix("Bearer ")
    cookie = {"Cookie": f"{COOKIE}={token}"}
    for method, path, body in calls():
        answer = await service.api.call(method, path, body, headers=cookie)
        assert answer.status == (200 if method == "GET" else 401), path
        answer = await service.api.call(method, path, body, headers={**cookie, "X-Csrf-Token": csrf_token(token)})
        assert answer.status in (200, 201), path


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-For", ""),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Real-IP", "127.0.0.1"),
        ("Via", "1.1 proxy"),
    ],
)
async def test_unknown_proxy_is_not_trusted(
    start_service: StartService, header: str, value: str, headers: dict[str, str]
) -> None:
    """A proxy on this host that was not configured opens /service to nobody, but does not keep a login out."""
    service = await start_with_jane(start_service)
    admin = await service.login("admin", ADMIN_PASSWORD)
    for method, path, body in calls():
        await service.api.refused(401, method, path, body, headers={**headers, header: value})
        assert (await admin.call(method, path, body, headers={header: value})).status in (200, 201)


@pytest.mark.parametrize(
    ("forwarded", "trusted"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("203.0.113.5, 192.0.2.1", True),
        ("203.0.113.5", False),
        ("127.0.0.1, 203.0.113.5", False),
        ("192.0.2.1, 203.0.113.5", False),
        ("127.0.0.1, nonsense", False),
        ("", False),
    ],
)
async def test_known_proxy_says_who_is_behind_it(
    start_service: StartService, forwarded: str | None, trusted: bool
) -> None:
    """Behind a configured proxy the right-most address that is none counts, and only one that can be read."""
    networks = (ip_network("127.0.0.1"), ip_network("192.0.2.1"))
    service = await start_with_jane(start_service, trusted_proxies=networks[:1], service_networks=networks)
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    for method, path, body in calls():
        answer = await service.api.call(method, path, body, headers=headers)
        assert (answer.status in (200, 201)) == trusted, (path, answer.body)
        assert trusted or answer.status == 401
