"""Whatever bytes arrive: an answer in the one shape that repeats none of them, or the end, and a quiet log."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import pytest

from postroom.app.routes import BASE, ROUTES
from postroom.app.web.routing import Route
from tests.app.handlers.test_errors import BODY_ROUTES
from tests.support.raw import RawAnswer, Talk, assert_shape, connect, parse, reset, talk
from tests.support.service import ADMIN_PASSWORD, Api, Service

pytestmark = pytest.mark.sqlite

#: Stands somewhere in what is refused, and must not come back.
MARK = b"sEcReT"
HOST = b"Host: x\r\nX-Mark: sEcReT\r\n"
STATUS = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST /api/v1/login HTTP/1.1\r\n"

StartService = Callable[..., Awaitable[Service]]


@pytest.fixture
async def service(start_service: StartService) -> Service:
    """A service without the page, so that everything that it says is JSON."""
    return await start_service(page=False)


@pytest.fixture
def quiet_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged from INFO on."""
    caplog.set_level(logging.INFO)
    return caplog


def assert_no_failure_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No warning, no error, no traceback; but logins that fail are told to fail2ban."""
    warned = [record for record in caplog.records if record.levelno > logging.INFO and record.name != "postroom.logins"]
    assert [record.getMessage() for record in warned] == []
    assert [record for record in caplog.records if record.exc_info] == []


def only(found: Talk) -> RawAnswer:
    """The one answer, which has to be of the one shape."""
    (answer,) = found.answers
    assert_shape(answer)
    return answer


async def assert_alive(service: Service) -> None:
    """The service still answers."""
    assert only(await talk(service, LAST)).status == 200


# --- paths ---

ODD = [
    "%0A", "a%0Ab", "%0D%0ASet-Cookie:%20a=b", "%00", "%2F", "..%2F..%2Fetc%2Fpasswd", "%ff", "%C3%28", "%ED%A0%80",
    "%", "%zz", "%1", "%7F", "%C2%85", "%E2%80%A8", "%E2%80%AE", "%1B%5B2J", "a" * 7000, "%0A" * 2000, "{userID}", "*",
    "~", ";a=b", "%F4%90%80%80", "-1", "1" * 100, "0x1", "1%2E0", "%D9%A1", "null",
    "'%22%3C", "=", "&", "@", "a%20b", "%5C", "%EF%BB%BF1",
]  # fmt: skip


def assert_tells_nothing_odd(answer: RawAnswer) -> None:
    """No text of the answer holds a character that a terminal or a log would obey."""
    body = answer.json
    assert all(text.isprintable() for text in [body["message"], *body.get("errors", []), body.get("error", "")]), body


@pytest.mark.parametrize("path", ["", "/", "//", "/api", "/api//v1/status", "/api/v1", "/docs/", "/docs/static/"])
async def test_odd_paths_that_lead_nowhere(service: Service, path: str) -> None:
    """Every path whatsoever ends in an answer of the one shape, for every method."""
    for odd in ["", *ODD]:
        for method in ("GET", "POST", "OPTIONS", "DELETE", "TRACE"):
            target = f"{path}/{odd}" if path else f"/{odd}"
            bytes_ = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            answer = only(await talk(service, bytes_, quiet=5))
            assert answer.status in (404, 405), target
            assert_tells_nothing_odd(answer)


PARAMETERS = sorted({(BASE + route.path) for route in ROUTES if "{" in route.path})


@pytest.mark.parametrize("path", PARAMETERS)
async def test_odd_parts_of_paths(
    service: Service, admin: Api, domain: int, path: str, quiet_log: pytest.LogCaptureFixture
) -> None:
    """Nothing in the place of a parameter is a failure of the service, or comes back as a control character."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    login = f"Authorization: {admin.headers['Authorization']}".encode()
    for odd in ODD:
        for name in names:
            target = path.format(**{each: odd if each == name else "1" for each in names})
            for method in sorted({route.method for route in ROUTES if BASE + route.path == path}):
                line = f"{method} {target} HTTP/1.1".encode()
                sent = request(line, b"Connection: close", b"Content-Length: 2", login) + b"{}"
                found = await talk(service, sent, quiet=5)
                (answer,) = found.answers
                # No directory is configured.
                assert answer.status < 500 or (answer.status == 503 and "downsync" in path), target
                if answer.status >= 400:
                    assert_shape(answer)
                    assert_tells_nothing_odd(answer)
    assert [record for record in quiet_log.records if not record.getMessage().isprintable()] == []


async def test_names_of_fields_are_shown_without_control_characters(admin: Api, domain: int) -> None:
    """A field is named in the reasons, and cannot bring more than its name into a log or onto a terminal."""
    body = {"user\nname\x1b[2J\u202e": 1, "username": "a\u0000b", "password": "long enough"}
    answer = await admin.call("POST", f"/domains/{domain}/users", body)
    assert answer.status == 400
    assert all(reason.isprintable() for reason in answer.body["errors"]), answer.body


# --- targets, methods, versions, expectations ---


def request(line: bytes, *headers: bytes) -> bytes:
    """A head with this request line."""
    return b"\r\n".join([line, b"Host: x", *headers, b"", b""])


TARGETS = [
    (b"GET http://x/api/v1/status HTTP/1.1", 200),
    (b"GET http://somewhere.else:81/api/v1/status?a=b HTTP/1.1", 200),
    (b"GET https://x/nope HTTP/1.1", 404),
    (b"GET http://x HTTP/1.1", 404),
    (b"GET http://x?a HTTP/1.1", 404),
    (b"OPTIONS http://x HTTP/1.1", 404),
    (b"GET //x/api/v1/status HTTP/1.1", 404),
    (b"OPTIONS rtsp://x/a RTSP/1.0", 404),
    (b"OPTIONS * HTTP/1.1", 200),
    (b"CONNECT x.example:443 HTTP/1.1", 405),
    (b"CONNECT [::1]:443 HTTP/1.1", 405),
    (b"TRACE /api/v1/status HTTP/1.1", 405),
    (b"PROPFIND /api/v1/status HTTP/1.1", 405),
    (b"GET /api/v1/status HTTP/1.0", 200),
    (b"GET /api/v1/status#part HTTP/1.1", 200),
]


@pytest.mark.parametrize(("line", "status"), TARGETS, ids=lambda value: str(value)[:40])
async def test_forms_of_targets(
    service: Service, line: bytes, status: int, quiet_log: pytest.LogCaptureFixture
) -> None:
    """The forms of a request's target that HTTP knows are answered as the path they stand for, in the one shape."""
    answer = only(await talk(service, request(line)))
    assert answer.status == status
    if line.startswith(b"CONNECT"):
        assert answer.headers["connection"] == "close"
        assert "GET" in answer.headers["allow"]
    assert_no_failure_logged(quiet_log)


@pytest.mark.parametrize("line", [b"GET /", b"GET /sEcReT HTTP/0.9", b"GET /sEcReT HTTP/2.0", b"OPTIONS * HTTP/2.0"])
async def test_other_versions(service: Service, line: bytes) -> None:
    """What is of another version of HTTP is told which ones are spoken, in one of these."""
    found = await talk(service, request(line) if b"HTTP" in line else line + b"\r\n\r\n")
    answer = only(found)
    assert answer.status == 505
    assert MARK not in answer.body
    assert found.closed


async def test_expect(service: Service, quiet_log: pytest.LogCaptureFixture) -> None:
    """100-continue is answered before the body comes; any other expectation is a 417 that does not repeat it."""
    body = b'{"user": "admin", "pass": "%b"}' % ADMIN_PASSWORD.encode()
    head = request(POST.strip(), b"Expect: 100-continue", b"Content-Length: %d" % len(body))
    reader, writer = await connect(service)
    writer.write(head)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    for line in (
        b"GET /api/v1/status HTTP/1.1",
        b"GET /nope HTTP/1.1",
        POST.strip(),
        b"OPTIONS * HTTP/1.1",
        b"CONNECT x:1 HTTP/1.1",
    ):
        answer = only(await talk(service, request(line, b"Expect: sEcReT")))
        assert answer.status == 417
        assert MARK not in answer.body
    assert_no_failure_logged(quiet_log)


# --- what is no HTTP ---

MALFORMED = {
    "nothing of HTTP": b"sEcReT\r\n\r\n",
    "one word and no end": b"sEcReT sEcReT sEcReT",
    "all bytes": b"sEcReT" + bytes(range(1, 256)) * 10 + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03sEcReT",
    "SSH": b"SSH-2.0-sEcReT\r\n",
    "SMTP": b"EHLO sEcReT\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nsEcReT",
    "unknown method": b"SECRET /sEcReT HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower case method": b"get /sEcReT HTTP/1.1\r\n" + HOST + b"\r\n",
    "lower case protocol": b"GET /sEcReT http/1.1\r\n" + HOST + b"\r\n",
    "no such version": b"GET /sEcReT HTTP/1.2\r\n" + HOST + b"\r\n",
    "version of words": b"GET /sEcReT HTTP/one\r\n" + HOST + b"\r\n",
    "no target": b"GET  HTTP/1.1\r\n" + HOST + b"\r\n",
    "target that is no path": b"GET sEcReT HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk of GET": b"GET * HTTP/1.1\r\n" + HOST + b"\r\n",
    "mail address": b"GET mailto:sEcReT@x HTTP/1.1\r\n" + HOST + b"\r\n",
    "impossible port": b"GET http://sEcReT:99999/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT to a path": b"CONNECT sEcReT:port HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the target": b"GET /a sEcReT HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes beyond ASCII in the path": b"GET /sEcReT\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "UTF-8 in the path": b"GET /sEcReT\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in the path": b"GET /sEcReT\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes beyond ASCII in the query": b"GET /?a=sEcReT\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "bare LF": b"GET /sEcReT HTTP/1.1\nHost: x\n\n",
    "bare LF in headers": b"GET / HTTP/1.1\r\nHost: x\nX: sEcReT\r\n\r\n",
    "bare CR in headers": b"GET / HTTP/1.1\r\nHost: x\rX: sEcReT\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nX: sEcReT\x00\r\n" + HOST + b"\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nX\x00: sEcReT\r\n" + HOST + b"\r\n",
    "space in a name": b"GET / HTTP/1.1\r\nX sEcReT: a\r\n" + HOST + b"\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nsEcReT : a\r\n" + HOST + b"\r\n",
    "no colon": b"GET / HTTP/1.1\r\nsEcReT\r\n" + HOST + b"\r\n",
    "no name": b"GET / HTTP/1.1\r\n: sEcReT\r\n" + HOST + b"\r\n",
    "folded header": b"GET / HTTP/1.1\r\nX: a\r\n sEcReT\r\n" + HOST + b"\r\n",
    "space before the first header": b"GET / HTTP/1.1\r\n X: sEcReT\r\n" + HOST + b"\r\n",
    "no Host": b"GET /sEcReT HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: sEcReT\r\n" + HOST + b"\r\n",
    "two lengths": POST + HOST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "contradicting lengths": POST + HOST + b"Content-Length: 2\r\nContent-Length: 6\r\n\r\nsEcReT",
    "list of lengths": POST + HOST + b"Content-Length: 2, 2\r\n\r\n{}",
    "negative length": POST + HOST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + HOST + b"Content-Length: +2\r\n\r\n{}",
    "hexadecimal length": POST + HOST + b"Content-Length: 0x2\r\n\r\n{}",
    "length of words": POST + HOST + b"Content-Length: two\r\n\r\n{}",
    "length beyond 64 bits": POST + HOST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "length and chunks": POST + HOST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    "chunks that are not last": POST + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "unknown transfer coding": POST + HOST + b"Transfer-Encoding: sEcReT\r\n\r\n0\r\n\r\n",
    "long request line": b"GET /" + b"sEcReT" * 1500 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "endless request line": b"GET /" + b"sEcReT" * 200_000,
    "long query": b"GET /api/v1/status?" + b"sEcReT" * 1500 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "long header": b"GET / HTTP/1.1\r\nX: " + b"sEcReT" * 1500 + b"\r\n" + HOST + b"\r\n",
    "endless header": b"GET / HTTP/1.1\r\nX: " + b"sEcReT" * 200_000,
    "long name": b"GET / HTTP/1.1\r\n" + b"sEcReT" * 1500 + b": a\r\n" + HOST + b"\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: sEcReT\r\n" * 300 + HOST + b"\r\n",
    "endless headers": b"GET / HTTP/1.1\r\n" + b"X: sEcReT\r\n" * 100_000,
}


async def test_what_is_no_http(service: Service, quiet_log: pytest.LogCaptureFixture) -> None:
    """It is a 400 in the one shape without a byte of it, after which the connection ends; the log has nothing of it."""
    for name, sent in MALFORMED.items():
        found = await talk(service, sent)
        answer = only(found)
        assert answer.status == 400, name
        assert found.closed, name
        assert MARK.lower() not in (str(answer.headers).encode() + answer.body).lower(), name
        assert_no_failure_logged(quiet_log)
        assert MARK.decode() not in quiet_log.text, name
        await assert_alive(service)


async def test_what_is_no_http_byte_by_byte(service: Service, quiet_log: pytest.LogCaptureFixture) -> None:
    """It makes no difference in how many pieces it comes."""
    for name, sent in MALFORMED.items():
        if len(sent) < 400:
            received = await answer_to_pieces(service, sent)
            assert received.startswith(b"HTTP/1."), name
            assert received.count(b"HTTP/1.") == 1, name
            assert b" 400 " in received[:20], name
            assert MARK not in received, name
    assert_no_failure_logged(quiet_log)


async def answer_to_pieces(service: Service, sent: bytes) -> bytes:
    """Everything that comes until the end, after these bytes one by one."""
    reader, writer = await connect(service)
    for byte in sent:
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    received = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return received


async def test_malformed_ones_after_one_another_are_one_answer(service: Service) -> None:
    """After the first fault nothing can be understood any more, so nothing is answered."""
    found = await talk(service, b"sEcReT\r\n\r\n" * 1000, STATUS)
    assert found.statuses == [400]


async def test_a_client_that_is_still_sending(service: Service) -> None:
    """Who sends on while it is told that it is over is not cut off before it can have read so."""
    reader, writer = await connect(service)
    writer.write(b"sEcReT\r\n\r\n")
    for _ in range(10):
        await asyncio.sleep(0.03)
        writer.write(b"x" * 10_000)
        await writer.drain()
    received = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert [answer.status for answer in parse(received)] == [400]


async def test_a_client_that_does_not_hang_up(service: Service) -> None:
    """Who has been told that it is over and stays on the line is hung up on soon."""
    reader, writer = await connect(service)
    writer.write(b"sEcReT\r\n\r\n")
    await asyncio.wait_for(reader.read(), 5)
    async with asyncio.timeout(5):
        while True:
            writer.write(b"x")
            try:
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(0.05)
    writer.close()


# --- several requests on one connection ---

LOGIN_BODY = b'{"user": "admin", "pass": "wrong\\r\\n\\r\\n"}'
LOGIN = request(POST.strip(), b"Content-Length: %d" % len(LOGIN_BODY)) + LOGIN_BODY
CHUNKED = request(POST.strip(), b"Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (
    len(LOGIN_BODY),
    LOGIN_BODY,
)
BAD = b"sEcReT\r\n\r\n"


@pytest.mark.parametrize(
    ("good", "statuses"),
    [
        ([STATUS], [200]),
        ([LOGIN], [401]),
        ([CHUNKED], [401]),
        ([STATUS, LOGIN, CHUNKED, STATUS], [200, 401, 401, 200]),
        ([b"\r\n" + STATUS], [200]),
        ([STATUS] * 200, [200] * 200),
        ([STATUS, request(b"GET /nope HTTP/1.1", b"Connection: upgrade", b"Upgrade: websocket")], [200, 404]),
        ([b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"], [200]),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_requests_before_a_malformed_one(
    service: Service, good: Sequence[bytes], statuses: list[int], quiet_log: pytest.LogCaptureFixture
) -> None:
    """They are answered as ever, although they came in one piece with it."""
    found = await talk(service, b"".join(good) + BAD, quiet=2)
    assert found.statuses == [*statuses, 400]
    assert found.closed
    assert_no_failure_logged(quiet_log)


async def test_wherever_the_pieces_are_cut(service: Service) -> None:
    """A good request and a malformed one are two answers, wherever the first piece ends."""
    whole = STATUS + BAD
    found = await asyncio.gather(*(talk(service, whole[:at], whole[at:], quiet=2) for at in range(1, len(whole))))
    assert [each.statuses for each in found] == [[200, 400]] * (len(whole) - 1)


async def test_a_body_of_empty_lines(service: Service) -> None:
    """A body that looks like the ends of many heads takes no longer than another one."""
    body = b"\r\n" * 500_000
    found = await talk(service, request(POST.strip(), b"Content-Length: %d" % len(body)) + body + LAST, quiet=3)
    # Too long for a login, which is told from its length, and so passed over.
    assert found.statuses == [413, 200]
    line = b"PUT /api/v1/passwd HTTP/1.1"
    found = await talk(service, request(line, b"Content-Length: %d" % len(body)) + body + LAST, quiet=3)
    assert found.statuses == [400, 200]


# --- bodies that never end, or are not what they say ---


def target_of(route: Route) -> str:
    """The route's path with a domain, a user and the like."""
    values = {
        "domainID": 1,
        "userID": 1,
        "ID": 1,
        "username": "jane@example.org",
        "deviceID": "phone",
        "sessionID": "x",
    }
    return BASE + route.path.format(**values)


def target_and_query(route: Route) -> str:
    """The same with what has to be in the query before the body is looked at."""
    return f"{target_of(route)}?devices=phone"


def body_head(route: Route, api: Api, *headers: str) -> bytes:
    """The head of a request with a body."""
    lines = [
        f"{route.method} {target_and_query(route)} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join([*lines, f"Authorization: {api.headers['Authorization']}", "", ""]).encode()


async def commits(service: Service) -> object:
    """A number that changes with whatever is committed."""
    return await service.context.database.fetch_by_key("PRAGMA data_version", ())


CUTS: dict[str, tuple[list[str], bytes]] = {
    "by length": (["Content-Length: 1000"], b'{"username'),
    "by chunks": (["Transfer-Encoding: chunked"], b'a\r\n{"username\r\n'),
    "within a chunk": (["Transfer-Encoding: chunked"], b'ff\r\n{"username'),
    "before the last chunk": (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n"),
    "whole but for a byte": (["Content-Length: 3"], b"{}"),
    "without a byte": (["Content-Length: 1000"], b""),
}


@pytest.mark.parametrize("route", BODY_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_uploads_that_are_cut_off(
    service: Service, admin: Api, domain: int, route: Route, quiet_log: pytest.LogCaptureFixture
) -> None:
    """A client that goes away amid its body is one quiet line in the log, and nothing has been done."""
    await admin.make_user(domain, "jane")
    before = await commits(service)
    for headers, part in CUTS.values():
        for end in ("close", "half", "reset"):
            quiet_log.clear()
            reader, writer = await connect(service)
            writer.write(body_head(route, admin, *headers) + part)
            await writer.drain()
            await asyncio.sleep(0.005)
            if end == "reset":
                reset(writer)
            elif end == "half":
                writer.write_eof()
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            async with asyncio.timeout(5):
                while not quiet_log.records:  # noqa: ASYNC110 - a log has no event
                    await asyncio.sleep(0.005)
            (record,) = quiet_log.records
            assert (record.name, record.levelno) == ("postroom.requests", logging.INFO)
            assert record.getMessage() == f"{route.method} {target_of(route)}: the client has hung up"
            assert not record.exc_info
    assert await commits(service) == before


BROKEN: dict[str, tuple[list[str], bytes, bytes]] = {
    "bad size of a chunk": (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n", b"sEcReT\r\n"),
    "bad size of the first chunk": (["Transfer-Encoding: chunked"], b"", b"sEcReT\r\n"),
    "negative size": (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n", b"-1\r\nsEcReT"),
    "size beyond 64 bits": (["Transfer-Encoding: chunked"], b"2\r\n{}\r\n", b"fffffffffffffffffffff\r\nsEcReT"),
    "chunk longer than it says": (["Transfer-Encoding: chunked"], b"2\r\n{}", b"sEcReT\r\n"),
    "bare LF after a size": (["Transfer-Encoding: chunked"], b"", b"2\nsEcReT\r\n"),
}


@pytest.mark.parametrize("route", BODY_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_bodies_that_are_not_encoded_as_they_say(
    service: Service, admin: Api, domain: int, route: Route, quiet_log: pytest.LogCaptureFixture
) -> None:
    """They are a 400 after which the connection ends, in one piece or in several, and nothing has been done."""
    await admin.make_user(domain, "jane")
    before = await commits(service)
    for name, (headers, first, then) in BROKEN.items():
        head = body_head(route, admin, *headers)
        for parts in ([head + first + then], [head, first + then], [head + first, then]):
            found = await talk(service, *parts, quiet=5)
            answer = only(found)
            assert answer.status == 400, name
            assert answer.headers["connection"] == "close"
            assert found.closed
            assert MARK not in answer.body
    assert await commits(service) == before
    assert_no_failure_logged(quiet_log)


@pytest.mark.parametrize("line", [b"POST /nope HTTP/1.1", b"GET /api/v1/status HTTP/1.1", b"POST /docs HTTP/1.1"])
async def test_broken_bodies_that_nobody_reads(
    service: Service, line: bytes, quiet_log: pytest.LogCaptureFixture
) -> None:
    """Where no body is wanted the answer is the ordinary one, and the connection ends at the fault."""
    for _, first, then in BROKEN.values():
        head = request(line, b"Transfer-Encoding: chunked")
        for parts in ([head + first, then], [head + first + then]):
            found = await talk(service, *parts, quiet=3)
            assert [only(found).status < 500, found.closed] == [True, True]
    assert_no_failure_logged(quiet_log)


@pytest.mark.parametrize("encoding", ["utf-7", "idna", "hex", "nope", "unicode_escape", "utf-16", "\xff"])
async def test_forms_in_odd_encodings(service: Service, encoding: str) -> None:
    """A form in another encoding than UTF-8 is refused before anything is decoded."""
    for body in (
        b"user=%2B2AA-&pass=a",
        b"user=+2AA-&pass=+3AA-",
        b"user=\\ud800&pass=b",
        b"\xff\xfe=%ff",
        b"user=a&pass=%ff",
    ):
        head = [b"Connection: close", b"Content-Length: %d" % len(body)]
        kind = f"Content-Type: application/x-www-form-urlencoded; charset={encoding}".encode("latin-1")
        answer = only(await talk(service, request(POST.strip(), kind, *head) + body))
        assert answer.status == 415


async def test_clients_that_do_not_wait_for_the_answer(
    service: Service, admin: Api, domain: int, quiet_log: pytest.LogCaptureFixture
) -> None:
    """Whoever hangs up while the answer is made or written causes no line but perhaps that they have."""
    login = f"Authorization: {admin.headers['Authorization']}".encode()
    for target in (b"/api/v1/openapi.json", b"/docs/static/swagger-ui-bundle.js", b"/api/v1/domains/1/users", b"/nope"):
        for pause in (0, 0.001, 0.01):
            for end in (reset, asyncio.StreamWriter.close):
                _, writer = await connect(service)
                writer.write(request(b"GET %b HTTP/1.1" % target, login) * 5)
                await asyncio.sleep(pause)
                end(writer)
    _, writer = await connect(service)
    writer.write(request(POST.strip(), b"Expect: 100-continue", b"Content-Length: 10"))
    reset(writer)
    await asyncio.sleep(0.1)
    await assert_alive(service)
    assert_no_failure_logged(quiet_log)


# --- anything at all ---

SEEDS = [
    STATUS, LOGIN, CHUNKED, *list(MALFORMED.values())[:30],
    request(b"OPTIONS * HTTP/1.1", b"Expect: 100-continue"),
    request(b"HEAD /api/v1/domains/1/users?limit=5&sort=username,asc HTTP/1.1", b"If-Match: *", b"Cookie: a=b; c"),
    request(b"PATCH /api/v1/domains/1/users/1 HTTP/1.1", b"Content-Length: 2") + b"{}",
    request(b"GET /api/v1/service/wipe/jane%40example.org HTTP/1.1", b"X-Forwarded-For: 127.0.0.1", b"Via: 1.1 x"),
]  # fmt: skip
PIECES = [
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"%0A", b"%", b"\xff", b"0", b"-1", b"chunked", b"HTTP/1.1",
    b"\r\n\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: x\r\n", b"Host: y\r\n",
    b"Upgrade: h2c\r\n",
    b"Connection: upgrade\r\n", b"Content-Encoding: gzip\r\n", b"Authorization: Bearer a\r\n", b"GET ", b"HEAD ",
    b"A" * 9000,
]  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    """One or two requests with some bytes changed, left out, doubled or put in."""
    sent = bytearray(b"".join(chance.choices(SEEDS, k=chance.choice((1, 1, 2)))))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(sent) + 1)
        to = min(len(sent), at + chance.randint(0, 12))
        sent[at:to] = chance.choice(
            [
                b"",
                bytes(sent[at:to]) * 2,
                chance.choice(PIECES),
                chance.randbytes(to - at),
                bytes(sent[at:to]).swapcase(),
            ]
        )
    return bytes(sent)


@pytest.mark.parametrize("seed", range(4))
async def test_anything_at_all(service: Service, admin: Api, seed: int, quiet_log: pytest.LogCaptureFixture) -> None:
    """Whatever comes is answered in the one shape and never as a failure of the service, which goes on."""
    chance = random.Random(seed)  # noqa: S311 - the same requests in every run
    limit = asyncio.Semaphore(32)

    async def ask(sent: bytes) -> None:
        at = chance.randrange(len(sent) + 1)
        parts = [sent] if chance.random() < 0.6 else [sent[:at], sent[at:]]
        async with limit:
            reader, writer = await connect(service)
            received = b""
            try:
                for part in parts:
                    writer.write(part)
                    await asyncio.sleep(0.005)
                async with asyncio.timeout(0.3):
                    while read := await reader.read(65536):
                        received += read
            except TimeoutError:
                pass  # what is not complete is waited for
            finally:
                writer.close()
        assert_answers(sent, received)

    await asyncio.gather(*(ask(mutated(chance)) for _ in range(250)))
    await assert_alive(service)
    assert_no_failure_logged(quiet_log)


def assert_answers(sent: bytes, received: bytes) -> None:
    """Whole answers in the one shape, of which those to a HEAD have no body; none is a 500."""
    while received:
        head, separator, received = received.partition(b"\r\n\r\n")
        assert separator, sent
        status = int(head.split(b" ", 2)[1])
        assert status < 500 or status in (503, 505), (sent, head)
        if status == 100:
            continue
        assert b"Content-Type: application/json; charset=utf-8\r\nCache-Control: no-store\r\n" in head, (sent, head)
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        if received[:5] == b"HTTP/" or (not received and b"HEAD" in sent):
            continue
        body, received = received[:length], received[length:]
        lines = [line.partition(": ") for line in head.decode("ascii").split("\r\n")[1:]]
        assert_shape(RawAnswer(status, {name.lower(): value for name, _, value in lines}, body))
