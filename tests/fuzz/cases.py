"""What is sent: each case follows from a seed and its number alone, so that one that is found can be sent again."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from postroom.app.openapi.example_calls import load
from postroom.app.routes import BASE, ROUTES
from postroom.app.web.routing import Route
from tests.fuzz.values import TEXTS, changed, value
from tests.support.description import own

#: Nobody listens there: what is configured must not lead anywhere else.
_NOWHERE: Final = "ldap://127.0.0.1:9"

_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "domainID": ("1", "1", "1", "1", "2", "7"),
    "userID": ("1", "1", "1", "2", "3", "9"),
    "ID": ("1", "1", "1", "2", "9"),
    "username": ("anna@example.org", "anna@example.org", "default", "nobody@example.org"),
    "deviceID": ("phone", "phone", "nothing"),
    "sessionID": ("nothing", "0" * 32),
}
_HEADERS: Final = (
    "Accept: */*", "If-Match: \"x\"", "If-None-Match: *", "If-Match: W/", "Expect: 100-continue",
    "Range: bytes=0-5", "Origin: null",
    "Content-Encoding: gzip", "Accept-Encoding: br;q=2", "Cookie: grommunioAuthJwt=a.b.c", "Cookie: ;;;=",
    "X-Csrf-Token: x",
    "X-Forwarded-For: 10.0.0.1, ::1", "Forwarded: for=unknown", "Connection: close, keep-alive", "Upgrade: h2c",
    "X-Request-ID: a b",
    "Authorization: Basic YTpi", "Authorization: Bearer", "Accept-Language: xx", "TE: trailers", "X: \xff",
)  # fmt: skip
_TYPES: Final = (
    "application/json", "application/json; charset=utf-16", "text/plain",
    "application/x-www-form-urlencoded; charset=punycode",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data",
    "application/JSON;", "*/*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to send. `answers`: how many answers have to come; None when it may be left open or be cut off."""

    kind: str
    sent: bytes
    answers: int | None


def case(seed: int, number: int, token: str) -> Case:
    """The case with this number. `token` is the administrator's."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - made to be repeated
    kind, make = rng.choices(_KINDS, weights=_WEIGHTS)[0]
    sent, answers = make(rng, token)
    return Case(kind, sent, answers)


def _bodies() -> dict[tuple[str, str], list[Any]]:
    """(method, path) -> bodies that are right."""
    named: dict[str, list[Any]] = {}
    for entry in load():
        if "body" in entry and entry["status"] < 300:
            text = json.dumps(entry["body"]).replace("ldap://directory.example.com", _NOWHERE)
            named.setdefault(entry["operation"], []).append(json.loads(text.replace("example.com", "example.org")))
    return {key: named[each["operationId"]] for key, each in own().operations.items() if each["operationId"] in named}


def _values() -> dict[str, list[str]]:
    """name -> what has been asked for by it."""
    found: dict[str, list[str]] = {}
    for entry in load():
        for name, text in parse_qsl(urlsplit(entry["at"]).query):
            found.setdefault(name, []).append(text)
    return found


_RIGHT: Final = _bodies()
#: Lines of a bulk request that are right.
_LINES: Final = [line for entry in load() for line in entry.get("lines", ())]
_ASKED: Final = _values()
#: Those whose cases are the fewest: each costs the time of a password hash, ends the login of all others, or takes away
#: what they are aimed at. These are kept from what is aimed at most.
_DEAR: Final = ("/login", "/passwd", "/password", "/passwd/{username}", "/dnsCheck")
_REMOVING: Final = ("/{domainID}", "/{userID}", "/{ID}", "/tasq/stop", "/ldap/check")


def _removes(route: Route) -> bool:
    return route.method == "DELETE" and route.path.endswith(_REMOVING)


def _is_costly(route: Route) -> bool:
    return _removes(route) or route.path.endswith(_DEAR)


_CHEAP: Final = [route for route in ROUTES if not _is_costly(route)]
_COSTLY: Final = [route for route in ROUTES if _is_costly(route)]
_WITH_BODY: Final = [route for route in _CHEAP if (route.method, route.path) in _RIGHT]


def _route(rng: random.Random, among: list[Route]) -> Route:
    return rng.choice(_COSTLY if rng.random() < 0.003 else among)


def _path(rng: random.Random, route: Route, odd: float) -> str:
    path = BASE + route.path
    for name, usual in _PATHS.items():
        text = rng.choice(TEXTS)[:2_000] if rng.random() < odd else rng.choice(usual[-2:] if _removes(route) else usual)
        path = path.replace(f"{{{name}}}", quote(text.encode("utf-8", "surrogatepass"), safe="@"))
    return path


def _query(rng: random.Random, route: Route, odd: float) -> str:
    known = [each for each, at in own().parameters((route.method, route.path)).items() if at["in"] == "query"]
    names = [name for name in known if rng.random() < 0.4]
    parts = []
    for name in names:
        usual = _ASKED.get(name, ["1"])
        text = rng.choice(TEXTS)[:1_500] if rng.random() < odd else rng.choice(usual)
        parts.append(f"{quote(name)}={quote(text.encode('utf-8', 'surrogatepass'))}")
    if rng.random() < odd / 4:
        parts.append(rng.choice(("=", "&&", "a", "%", "%zz", "a=b=c", "%00=%00", "a[]=1", "x" * 3_000)))
    return "?" + "&".join(parts) if parts else ""


def request(line: str, token: str, headers: list[str], body: bytes) -> bytes:
    """A request with a login."""
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _bytes(rng: random.Random, body: Any) -> bytes:
    """The JSON, now and then not quite."""
    raw = json.dumps(body, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    action = rng.randrange(30)
    if action == 0 and raw:
        at = rng.randrange(len(raw))
        return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
    if action == 1:
        return raw[: rng.randrange(len(raw) + 1)]
    if action == 2:
        return raw + raw
    if action == 3:
        return json.dumps(body).encode("utf-16")
    return b"[" * 20_000 if action == 4 else raw


def _body_case(rng: random.Random, token: str) -> tuple[bytes, int | None]:
    route = _route(rng, _WITH_BODY)
    right = rng.choice(_RIGHT.get((route.method, route.path), [{}]))
    body = right if rng.random() < 0.25 else changed(rng, right)
    if "ldap" in route.path and isinstance(body, dict) and isinstance(body.get("connection"), dict):
        body = {**body, "connection": {**body["connection"], "server": _NOWHERE}}
    query = _query(rng, route, 0.1) if rng.random() < 0.3 else ""
    line = f"{route.method} {_path(rng, route, 0.03)}{query}"
    return request(line, token, ["Content-Type: application/json"], _bytes(rng, body)), 1


def _query_case(rng: random.Random, token: str) -> tuple[bytes, int | None]:
    route = _route(rng, _CHEAP)
    return request(f"{route.method} {_path(rng, route, 0.15)}{_query(rng, route, 0.25)}", token, [], b""), 1


def _header_case(rng: random.Random, token: str) -> tuple[bytes, int | None]:
    route = _route(rng, _CHEAP)
    headers = rng.sample(_HEADERS, rng.randrange(1, 5))
    login = token if rng.random() < 0.7 else rng.choice(("", "x", token[:-3], token + "=", "a.b.c", "x" * 3_000))
    body = b""
    if rng.random() < 0.5:
        headers.append(f"Content-Type: {rng.choice(_TYPES)}")
        body = rng.choice(
            (b"{}", b"a=b", b"user=a&pass=b", b"--x\r\n\r\n", b"--x--\r\n", b"\x1f\x8b\x08", b"%" * 50, b"&" * 3_000)
        )
    method = rng.choice((route.method, route.method, "PUT", "OPTIONS", "TRACE", "get", "M" * 30))
    return request(f"{method} {_path(rng, route, 0.1)}", login, headers, body), None


_VERSIONS: Final = (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"http/1.1", b"HTTP/1.1 x")
_LENGTHS: Final = (b"-1", b"9" * 30, b"0x5", b"+1", b"1,1", b"", b"\xb2")
_CODINGS: Final = (b"chunked", b"chunked, chunked", b"gzip", b"xchunked", b"identity")
_CHUNKS: Final = (
    b"0\r\n\r\n", b"5\r\nabcde\r\n0\r\n\r\n", b"g\r\n", b"-1\r\n", b"f" * 30 + b"\r\n",
    b"1;a=\r\nx\r\n0\r\n\r\n", b"0\r\na: b\r\n\r\n",
)  # fmt: skip


def _frame_case(rng: random.Random, token: str) -> tuple[bytes, int | None]:
    good = request(f"GET {BASE}/status", token, [], b"")
    frames: tuple[Callable[[], bytes], ...] = (
        lambda: good * rng.choice((2, 20, 60)),
        lambda: good.replace(b"HTTP/1.1", rng.choice(_VERSIONS)),
        lambda: good.replace(b"\r\n", rng.choice((b"\n", b"\r", b"\r\r\n", b"\0\r\n"))),
        lambda: good[:-2] + b"Content-Length: %b\r\n\r\n" % rng.choice(_LENGTHS),
        lambda: good[:-2] + b"Transfer-Encoding: %b\r\n\r\n%b" % (
            rng.choice(_CODINGS),
            rng.choice(_CHUNKS),
        ),
        lambda: good[:-2] + b"X: a\r\n" * rng.choice((10, 200, 3_000)) + b"\r\n",
        lambda: good[:-2] + b"X" * rng.choice((100, 9_000, 100_000)) + b": a\r\n\r\n",
        lambda: good[:4] + b"/" * rng.choice((100, 9_000, 100_000)) + good[4:],
        lambda: bytes(rng.randrange(256) for _ in range(rng.choice((1, 20, 2_000)))) + b"\r\n\r\n",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(rng.randrange(256) for _ in range(200)),
        lambda: _flipped(rng, good),
        lambda: good[: rng.randrange(1, len(good))],
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    )  # fmt: skip
    return rng.choice(frames)(), None


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed_bytes = bytearray(data)
    for _ in range(rng.choice((1, 2, 10))):
        changed_bytes[rng.randrange(len(changed_bytes))] = rng.randrange(256)
    return bytes(changed_bytes)


def _any_json_case(rng: random.Random, token: str) -> tuple[bytes, int | None]:
    route = _route(rng, _WITH_BODY)
    return request(
        f"{route.method} {_path(rng, route, 0)}", token, ["Content-Type: application/json"], _bytes(rng, value(rng))
    ), 1


def _lines_case(rng: random.Random, token: str) -> tuple[bytes, int | None]:
    lines = [_line(rng) for _ in range(rng.choice((1, 3, 20)))]
    body = rng.choice((b"\n", b"\r\n", b"\n\n")).join(lines)
    (route,) = (route for route in ROUTES if route.path.endswith("/users/bulk"))
    line = f"{route.method} {_path(rng, route, 0.02)}{_query(rng, route, 0.1) if rng.random() < 0.3 else ''}"
    return request(line, token, ["Content-Type: application/x-ndjson"], body), 1


def _line(rng: random.Random) -> bytes:
    right = rng.choice(_LINES)
    return _bytes(rng, right if rng.random() < 0.25 else changed(rng, right)).replace(b"\n", b" ")


_KINDS: Final = (
    ("lines", _lines_case),
    ("bodies that were right", _body_case),
    ("any JSON", _any_json_case),
    ("paths and queries", _query_case),
    ("headers", _header_case),
    ("bytes", _frame_case),
)
_WEIGHTS: Final = (4, 50, 8, 22, 10, 10)
