"""HEAD, OPTIONS and the methods that a path does not have, on every path of the route table."""

from collections import defaultdict
from functools import partial

from postroom.app.outside import DOCS, PAGE
from postroom.app.routes import BASE, ROUTES
from tests.support.raw import assert_shape
from tests.support.raw import talk as talk_until_quiet
from tests.support.service import Api, Service

#: Path -> its methods.
METHODS: dict[str, set[str]] = defaultdict(set)
for _route in ROUTES:
    METHODS[BASE + _route.path].add(_route.method)
for _route in [*DOCS, *PAGE]:
    METHODS[_route.path].add(_route.method)

#: Path -> what makes its GET a success, where that takes more than a user and a domain.
QUERIES = {
    f"{BASE}/system/mailCheck": "?address=jane@example.org",
    f"{BASE}/chkFormat": "?email=jane@example.org",
    f"{BASE}/domains/ldap/search": "?query=jane",
    f"{BASE}/domains/ldap/dump": "?ID=jane",
    f"{BASE}/domains/{{domainID}}/users/{{userID}}/storeProps": "?properties=displayname",
}


def concrete(path: str, **values: object) -> str:
    """The path with values for its parts."""
    known = {"domainID": 1, "userID": 1, "ID": 1, "username": "jane@example.org", "deviceID": "phone", "sessionID": "x"}
    return path.format(**{**known, "name": "swagger-ui.css", **values})


#: Every service here ends the connection after its answer, however long that takes.
talk = partial(talk_until_quiet, quiet=10)

#: Answers that are another each time.
VOLATILE = f"{BASE}/system/dashboard"


def request(method: str, target: str, headers: dict[str, str]) -> bytes:
    """A request after which the service ends the connection."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode()


def allowed(path: str) -> str:
    """The header Allow of a path."""
    return ", ".join(sorted(METHODS[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in METHODS[path] else set())))


async def test_head_answers_like_get(service: Service, admin: Api, domain: int) -> None:
    """The same status and headers and no body, whether it is there, is not there, or one is not logged in."""
    await admin.make_user(domain, "jane")
    jane = await service.log_in_own("jane@example.org")
    for path, methods in METHODS.items():
        if "GET" in methods:
            await compare_head(service, jane if path.startswith(f"{BASE}/me") else admin, path)


async def compare_head(service: Service, api: Api, path: str) -> None:
    """Compares the answers to GET and HEAD of a path."""
    target, absent = concrete(path) + QUERIES.get(path, ""), concrete(path, domainID=99, ID=99, username="x", name="x")
    asked = [(target, api.headers), (absent, api.headers), (target, {}), (target, {"Expect": "tea"})]
    statuses = []
    for where, headers in asked:
        got = await talk(service, request("GET", where, headers))
        head = await talk(service, request("HEAD", where, headers), head=True)
        assert got.closed
        assert head.closed
        (of_get,), (of_head,) = got.answers, head.answers
        assert of_head.body == b""
        assert of_head.status == of_get.status, path
        changing = {"date": "", "x-request-id": "", **({"content-length": ""} if path == VOLATILE else {})}
        assert {**of_head.headers, **changing} == {**of_get.headers, **changing}, path
        assert int(of_get.headers["content-length"]) == len(of_get.body) > 0
        statuses.append(of_get.status)
    assert statuses[3] == 417, path
    assert statuses[0] in (200, 404, 503), (path, statuses)  # of a role, a task and a directory there is none


async def test_head_asks_for_no_more_rights_than_get(service: Service, admin: Api, domain: int) -> None:
    """Whoever may read everything may also use HEAD everywhere."""
    reader = await service.login_with(domain, ("SystemAdminRO", {}))
    for path, methods in METHODS.items():
        if "GET" in methods:
            got = await talk(service, request("GET", concrete(path), reader.headers))
            head = await talk(service, request("HEAD", concrete(path), reader.headers), head=True)
            assert head.statuses == got.statuses, path
            assert head.statuses != [403], path


async def test_head_of_what_cannot_be_read(service: Service, admin: Api) -> None:
    """Where there is no GET, HEAD is refused like any other method, without a body."""
    for path, methods in METHODS.items():
        if "GET" not in methods:
            (answer,) = (await talk(service, request("HEAD", concrete(path), admin.headers), head=True)).answers
            assert answer.status == 405
            assert answer.headers["allow"] == allowed(path)


async def test_options(service: Service) -> None:
    """OPTIONS names the methods of a path to anybody, and lets pages of no other origin in."""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    for path in METHODS:
        (answer,) = (await talk(service, request("OPTIONS", concrete(path), headers))).answers
        assert answer.status == 200, path
        assert_shape(answer)
        assert answer.headers["allow"] == allowed(path), path
        assert not [name for name in answer.headers if name.startswith("access-control")], path


async def test_methods_that_are_not_there(service: Service, admin: Api) -> None:
    """Every method that a path does not have is a 405 with those that it has."""
    for path, methods in METHODS.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY"} - methods:
            (answer,) = (await talk(service, request(method, concrete(path), admin.headers))).answers
            assert answer.status == 405, (method, path)
            assert_shape(answer)
            assert answer.headers["allow"] == allowed(path), (method, path)


async def test_options_where_there_is_nothing(service: Service) -> None:
    """A path that leads nowhere has no methods."""
    for path in ("//", "/nope", f"{BASE}/nope", "/docs/nope"):
        (answer,) = (await talk(service, request("OPTIONS", path, {}))).answers
        assert answer.status == 404
        assert_shape(answer)
        assert "allow" not in answer.headers


async def test_options_of_the_server(service: Service) -> None:
    """The asterisk stands for the service as a whole: all methods that any path has."""
    (answer,) = (await talk(service, request("OPTIONS", "*", {}))).answers
    assert answer.status == 200
    assert_shape(answer)
    assert answer.headers["allow"] == ", ".join(sorted(set().union(*METHODS.values()) | {"HEAD", "OPTIONS"}))
