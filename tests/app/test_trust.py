"""Where a request comes from, and who is served below /service because of it."""

from ipaddress import ip_network
from typing import Any

import pytest

from postroom.app.auth.tokens import csrf_token
from postroom.app.config import SettingError, load_config
from postroom.app.routes import ROUTES
from postroom.app.settings import Network
from postroom.app.web.authentication import COOKIE
from postroom.app.web.routing import AddressOr
from postroom.app.web.trust import DIRECT_HEADERS, find_source
from tests.conftest import StartService
from tests.support.raw import talk
from tests.support.service import ADMIN_PASSWORD, Api, Service
from tests.test_layout import ROOT

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
    # A proxy that forgot the header: it may have asked for anybody.
    ("127.0.0.1", [], PROXIES, "127.0.0.1", False),
    ("10.9.9.9", [], PROXIES, "10.9.9.9", False),
    # From the host of the proxy itself, through it.
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
    source = find_source(peer, forwarded_for, direct=not forwarded_for, unreadable=False, proxies=proxies)
    assert (str(source), source.certain) == (address, certain)
    assert source.is_in(LOCAL) == (certain and address in ("127.0.0.1", "::1"))


@pytest.mark.parametrize("proxies", [(), PROXIES])
def test_a_header_that_is_not_read_spoils_all(proxies: tuple[Network, ...]) -> None:
    """With the header Forwarded nothing is certain, not even behind a known proxy: it may be the one the proxy sets."""
    source = find_source("127.0.0.1", ["127.0.0.1"], direct=False, unreadable=True, proxies=proxies)
    assert not source.certain


def test_another_trace_of_a_proxy() -> None:
    """What does not look direct is not certain, and of a known proxy X-Forwarded-For alone counts."""
    assert not find_source("127.0.0.1", [], direct=False, unreadable=False, proxies=()).certain
    assert not find_source("127.0.0.1", [], direct=True, unreadable=False, proxies=PROXIES).certain
    assert find_source("127.0.0.1", ["192.0.2.1"], direct=False, unreadable=False, proxies=PROXIES).certain


def test_networks_of_both_kinds() -> None:
    """An address is compared with networks of its own kind alone."""
    source = find_source("10.1.2.3", [], direct=True, unreadable=False, proxies=())
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
    assert [route for route in ROUTES if isinstance(route.guard, AddressOr)] == ROWS


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


#: By which proxies, content delivery networks, meshes and tracing agents show themselves; and some that nobody has yet.
PROXY_HEADERS = (ROOT / "tests" / "data" / "proxy_headers.txt").read_text("utf-8").split()

#: By which browsers show themselves.
BROWSER_HEADERS = ["Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Dest", "Sec-Ch-Ua", "Upgrade-Insecure-Requests"]


def test_no_header_of_a_proxy_or_browser_is_one_of_direct_clients() -> None:
    """The list of what direct clients send has nothing that proxies add, and nothing that only browsers have."""
    assert not DIRECT_HEADERS & {name.lower() for name in (*PROXY_HEADERS, *BROWSER_HEADERS)}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}])
async def test_whatever_does_not_look_direct_is_not_trusted(
    start_service: StartService, headers: dict[str, str]
) -> None:
    """A proxy on this host that was not configured opens /service to nobody, but does not keep a login out."""
    service = await start_with_jane(start_service)
    admin = await service.login("admin", ADMIN_PASSWORD)
    assert len(PROXY_HEADERS) > 70
    for header in (*PROXY_HEADERS, *BROWSER_HEADERS):
        for value in ("127.0.0.1", ""):
            given = {header: value}
            await service.api.refused(401, "GET", "/service/syncPolicy/jane@example.org", headers={**headers, **given})
            assert (await admin.call("GET", "/service/syncPolicy/x", headers=given)).status == 200
    for method, path, body in calls():
        await service.api.refused(401, method, path, body, headers={**headers, "CF-Connecting-IP": "127.0.0.1"})
        assert (await admin.call(method, path, body, headers={"Via": "1.1 proxy"})).status in (200, 201)


#: Host -> whether nobody outside can have pointed it to this machine.
HOSTS = {
    "127.0.0.1": True,
    "127.0.0.1:8080": True,
    "192.0.2.7:80": True,
    "[::1]": True,
    "[::1]:8080": True,
    "[2001:db8::7]:8080": True,
    "localhost": True,
    "LocalHost:8080": True,
    "postroom": True,
    "Postroom.internal:8080": True,
    "": False,
    "evil.example": False,
    "evil.example:8080": False,
    "localhost.evil.example": False,
    "127.0.0.1.evil.example": False,
    "foo.localhost": False,
    "localhost.": False,
    "127.1": False,
    "2130706433": False,
    "0x7f.0.0.1": False,
    "::1": False,
    "[::1": False,
    "[127.0.0.1]": False,
    "[::1]x:80": False,
    "[::1%25lo]": False,
    "localhost:": False,
    "localhost:80a": False,
    "localhost:123456": False,
    "user@localhost": False,
    "localhost/evil": False,
    "localhost, evil.example": False,
    "localhost evil.example": False,
    "postroom.example": False,
}


async def test_host_has_to_be_of_this_machine(start_service: StartService) -> None:
    """A browser whose page had its name pointed to this machine says that name, and is refused."""
    names = frozenset({"postroom", "postroom.internal"})
    service = await start_with_jane(start_service, service_hosts=names)
    for host, trusted in HOSTS.items():
        found = await talk(service, ask(f"Host: {host}"))
        # Some are no HTTP at all.
        assert found.statuses in ([[200]] if trusted else [[401], [400]]), host


def ask(*headers: str, line: str = "GET /api/v1/service/syncPolicy/x HTTP/1.1") -> bytes:
    """A request for a policy, which everybody has who is trusted, byte for byte."""
    return "\r\n".join([line, *headers, "Connection: close", "", ""]).encode()


@pytest.mark.parametrize(
    "request_",
    [
        ask(),
        ask("Host: 127.0.0.1", "Host: evil.example"),
        ask("Host: evil.example", "Host: 127.0.0.1"),
        ask("Host: 127.0.0.1", line="GET http://evil.example/api/v1/service/syncPolicy/x HTTP/1.1"),
        ask("Host: evil.example", line="GET http://127.0.0.1/api/v1/service/syncPolicy/x HTTP/1.1"),
        # As nginx asks, unless it is told otherwise; and without any Host.
        ask("Host: 127.0.0.1", line="GET /api/v1/service/syncPolicy/x HTTP/1.0"),
        ask(line="GET /api/v1/service/syncPolicy/x HTTP/1.0"),
        ask("Host: 127.0.0.1", "Connection: x-forwarded-for", "X-Forwarded-For: 127.0.0.1"),
    ],
)
async def test_requests_that_no_direct_client_sends(service: Service, request_: bytes) -> None:
    """What leaves open whom it was sent to, or is as a proxy sends it, is not trusted."""
    assert (await talk(service, ask("Host: 127.0.0.1"))).statuses == [200]
    found = await talk(service, request_)
    assert found.statuses in ([401], [400])


async def test_names_are_a_setting() -> None:
    """Names are compared without regard to case, and what is no name is refused; no network at all can be said."""
    assert load_config(environ={}).service_hosts == frozenset()
    given = load_config(environ={"POSTROOM_SERVICE_HOSTS": " Postroom , a.b "})
    assert given.service_hosts == frozenset({"postroom", "a.b"})
    for wrong in ("postroom:80", "http://x", "*", "a b", "-", "[::1]"):
        with pytest.raises(SettingError, match="POSTROOM_SERVICE_HOSTS"):
            load_config(environ={"POSTROOM_SERVICE_HOSTS": wrong})
    assert load_config(environ={"POSTROOM_SERVICE_NETWORKS": "none"}).service_networks == ()


@pytest.mark.parametrize(
    ("forwarded", "trusted"),
    [
        (None, False),
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


@pytest.mark.parametrize(
    ("headers", "trusted"),
    [
        # Whatever else a proxy adds, or lets through from the client, says nothing for it.
        ({}, True),
        ({"X-Real-IP": "203.0.113.5", "X-Forwarded-Proto": "https", "CF-Connecting-IP": "1.2.3.4"}, True),
        # It may be the one that the proxy sets, and X-Forwarded-For the client's own.
        ({"Forwarded": "for=127.0.0.1"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Referer": "https://evil.example/"}, False),
        ({"Host": "evil.example"}, False),
    ],
)
async def test_what_stands_beside_the_address_that_a_proxy_says(
    start_service: StartService, headers: dict[str, str], trusted: bool
) -> None:
    """Behind a known proxy no browser is trusted either, and no other header makes anybody trusted."""
    networks = (ip_network("127.0.0.1"), ip_network("192.0.2.1"))
    service = await start_service(trusted_proxies=networks[:1], service_networks=networks)
    path = "/service/syncPolicy/x"
    answer = await service.api.call("GET", path, headers={"X-Forwarded-For": "192.0.2.1", **headers})
    assert answer.status == (200 if trusted else 401)
    await service.api.refused(401, "GET", path, headers={"X-Forwarded-For": "203.0.113.5", **headers})
    await service.api.refused(401, "GET", path, headers={"X-Real-IP": "127.0.0.1", **headers})
