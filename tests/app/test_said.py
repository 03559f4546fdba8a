"""What every answer and every line of the log says, and never says."""

import asyncio
import json
import logging
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from aiohttp import ClientSession, web
from multidict import CIMultiDict

from postroom.app.config import wants_colours
from postroom.app.logs import REQUEST_ID, JsonFormatter, LineFormatter, one_line
from postroom.app.outside import DOCS, PAGE
from postroom.app.routes import BASE, ROUTES
from postroom.app.server.runner import make_runner
from postroom.storage import orgs
from postroom.storage.engine import Connection
from tests.app.test_bytes import MALFORMED
from tests.app.test_cli import serving
from tests.support import eavesdropper
from tests.support.eavesdropper import header_faults
from tests.support.raw import connect, parse, talk
from tests.support.service import ADMIN_PASSWORD, Service

PATHS = sorted({BASE + route.path for route in ROUTES} | {route.path for route in [*DOCS, *PAGE]} | {"/nowhere"})


async def test_every_answer_has_the_headers(service: Service) -> None:
    """Whatever is asked of whatever path, by any method or none, the answer has every header and names no version."""
    for path in PATHS:
        target = re.sub(r"\{\w+\}", "1", path)
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", "MADEUP"):
            head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            found = await talk(service, head.encode(), head=method == "HEAD", quiet=10)
            (answer,) = found.answers
            assert header_faults(CIMultiDict(answer.headers)) == [], (method, target)
            assert "aiohttp" not in str(answer.headers)
    (answer,) = (await talk(service, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", quiet=10)).answers
    assert header_faults(CIMultiDict(answer.headers)) == []


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_http_has_them_too(service: Service, name: str) -> None:
    """So has the answer to what no parser understands."""
    found = await talk(service, MALFORMED[name], quiet=10)
    assert [header_faults(CIMultiDict(answer.headers)) for answer in found.answers] == [[]]


@pytest.mark.parametrize("name", ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-16x16.png", "no.such"])
async def test_files_have_them_too(service: Service, name: str) -> None:
    """So have files, also where there is nothing new of them or a part is asked for, and browsers may keep them."""
    url = f"{service.url}/docs/static/{name}"
    for headers in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=99999999-"}, {"If-Modified-Since": "now"}):
        async with service.session.get(url, headers=headers) as answer:
            assert header_faults(answer.headers) == []
            assert ("no-store" in answer.headers.get("Cache-Control", "")) == (name == "no.such")


async def test_no_two_requests_have_one_id(service: Service) -> None:
    """IDs differ on one connection and on many, and a client has no say in them."""
    ids = []
    for _ in range(3):
        reader, writer = await connect(service)
        for _ in range(3):
            writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n")
            received = await reader.readuntil(b"\r\n\r\n")
            length = int(re.findall(rb"Content-Length: (\d+)", received)[0])
            (answer,) = parse(received + await reader.readexactly(length))
            ids.append(answer.headers["x-request-id"])
        writer.close()
    assert len(set(ids)) == 9
    assert all(eavesdropper.REQUEST_ID.fullmatch(each) for each in ids)


async def test_lines_bear_the_id_of_the_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The access log, a failure and its traceback stand under the ID that the client was given."""
    admin = await service.login("admin", ADMIN_PASSWORD)

    async def fail(*_arguments: Any) -> None:
        raise ZeroDivisionError("first line\n2026-01-01 00:00:00,000 INFO postroom: forged\u2028\x1b[2J")

    monkeypatch.setattr(type(service.context.database), "check", fail)
    for path, status in (("/status", 500), ("/about", 200)):
        answer = await admin.call("GET", path)
        assert answer.status == status
        request_id = answer.headers["X-Request-ID"]
        lines = [line for line in service.eavesdropper.lines if f"[{request_id}]:" in line]
        assert [line for line in lines if f"GET /api/v1{path} {answer.status}" in line]
        if status == 500:
            assert answer.body["requestID"] == request_id
            (failure,) = [line for line in lines if "Traceback" in line]
            assert all(line.startswith("  | ") for line in failure.split("\n")[1:])
            assert "\\u2028\\x1b[2J" in failure


async def test_what_a_request_starts_bears_its_id(service: Service) -> None:
    """Requests at the same time do not mix up their IDs, also after they have waited."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    answers = await asyncio.gather(*(admin.call("GET", f"/system/domains/{number}") for number in range(20)))
    for number, answer in enumerate(answers):
        wanted = f"[{answer.headers['X-Request-ID']}]: GET /api/v1/system/domains/{number} 404"
        assert [line for line in service.eavesdropper.lines if wanted in line]


HOSTILE = [
    "a\nb", "a\r\nb", "a\x1b[31mb", "a\x85b", "a\u2028b", "a\u2029b", "a\u202eb", "a\x00b", "a\x7fb", "a\x9b2Jb",
    "a\ud800b", "a\u200bb", "a\tb", "a\x0bb\x0cc", "a\ufeffb",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_a_line(text: str) -> None:
    """Whatever stands in a message or in the name of a logger becomes visible text of one line."""
    record = logging.LogRecord(f"name {text}", logging.INFO, "", 1, "said %s", (text,), None)
    line = LineFormatter().format(record)
    assert line.isprintable()
    assert line.encode("utf-8").decode("utf-8").splitlines() == [line]
    assert one_line("plain text, ä and ©") == "plain text, ä and ©"


@pytest.mark.parametrize("text", HOSTILE)
def test_an_entry_for_programs_is_a_line(text: str) -> None:
    """Whatever stands in a message, in the name of a logger or in a traceback is one line, and comes back as it was."""
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord(f"name {text}", logging.INFO, "", 1, "said %s", (text,), sys.exc_info())
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert line.isprintable()
    entry = json.loads(line)
    assert (entry["message"], entry["logger"], entry["requestID"]) == (f"said {text}", f"name {text}", None)
    assert entry["traceback"].endswith(f"ValueError: {text}")
    assert datetime.fromisoformat(entry["time"]).timestamp() == pytest.approx(record.created, abs=0.001)


def test_colours() -> None:
    """Only the level of what matters has one, so no text can bring one of its own."""
    for level, coloured in ((logging.INFO, False), (logging.WARNING, True), (logging.ERROR, True)):
        record = logging.LogRecord("name", level, "", 1, "said \x1b[31m", (), None)
        line = LineFormatter(coloured=True).format(record)
        assert ("\x1b" in line) == coloured
        assert "\x1b" not in line.partition(" name ")[2]
        assert LineFormatter().format(record).isprintable()
    assert [wants_colours(environ) for environ in ({}, {"NO_COLOR": "1"}, {"TERM": "dumb"})] == [True, False, False]


async def test_the_writer_knows_the_request(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged in the middle of a transaction, on another thread, has the ID of the request."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    insert = orgs.insert_org

    def telling(connection: Connection, *args: Any) -> Any:
        logging.getLogger("postroom.test").info("deep inside")
        return insert(connection, *args)

    monkeypatch.setattr(orgs, "insert_org", telling)
    answers = await asyncio.gather(*(admin.call("POST", "/system/orgs", {"name": f"org {n}"}) for n in range(5)))
    for answer in answers:
        wanted = answer.headers["X-Request-ID"]
        assert [line for line in service.eavesdropper.lines if f"[{wanted}]: deep inside" in line]
        told = [json.loads(line) for line in service.eavesdropper.json_lines]
        assert [entry for entry in told if (entry["requestID"], entry["message"]) == (wanted, "deep inside")]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_traceback_forges_nothing(text: str) -> None:
    """A traceback stays readable, line by line, and none of its lines looks like the beginning of another entry."""
    try:
        raise ValueError(f"2026-01-01 {text}")
    except ValueError:
        record = logging.LogRecord("name", logging.ERROR, "", 1, "failed", (), sys.exc_info())
    record.exc_text = "what another handler made of it\n2026-01-01 forged"
    first, *rest = LineFormatter().format(record).split("\n")
    assert first.endswith("name [-]: failed")
    assert "forged" not in str(rest)
    assert all(line.startswith("  | ") and line.isprintable() for line in rest)
    assert any("test_a_traceback_forges_nothing" in line for line in rest)
    assert REQUEST_ID.get() == "-"


def test_the_program_logs_in_this_form(tmp_path: Path) -> None:
    """Each line of `postroom serve` with the access log is of the one form, whatever is asked for."""
    with serving(tmp_path, POSTROOM_ADMIN_PASSWORD="a recognizable secret", POSTROOM_ACCESS_LOG="true") as running:
        for path in ("status?a=%0a%1b[31m", "status?password=recognizable", "%0d%0aforged%e2%80%a8"):
            command = ["curl", "-s", "-g", f"http://127.0.0.1:{running.ports[0]}/api/v1/{path}"]
            subprocess.run(command, capture_output=True, check=True)
        with urlopen(f"http://127.0.0.1:{running.ports[0]}/api/v1/status") as answer:
            request_id = answer.headers["X-Request-ID"]
        running.stop()
    logged = [line for line in running.lines if " postroom" in line and line.startswith("20")]
    form = r"[0-9-]+ [0-9:,]+ [A-Z]+ postroom[a-z.]* \[(-|[0-9a-f]{17}-\d+)\]: .+"
    assert all(re.fullmatch(form, line.rstrip("\n")) for line in logged), logged
    assert len([line for line in logged if "GET /api/v1/" in line]) == 4
    assert any(f"[{request_id}]: GET /api/v1/status 200" in line for line in logged)
    assert "recognizable" not in "".join(running.lines)


def test_the_program_logs_for_programs(tmp_path: Path) -> None:
    """With `json`, each line on standard error is an entry, also those of workers; nothing is coloured."""
    settings = {"POSTROOM_ADMIN_PASSWORD": "a recognizable secret", "POSTROOM_ACCESS_LOG": "true"}
    with serving(tmp_path, "--workers", "2", POSTROOM_LOG_FORMAT="json", **settings) as running:
        with urlopen(f"http://127.0.0.1:{running.ports[0]}/api/v1/status") as answer:
            request_id = answer.headers["X-Request-ID"]
        running.stop()
    entries = [json.loads(line) for line in running.lines if line.startswith("{")]
    assert any(each["requestID"] == request_id and "/status 200" in each["message"] for each in entries)
    assert {each["logger"] for each in entries} >= {"postroom", "postroom.requests"}
    assert "recognizable" not in "".join(running.lines)
    assert "INFO" not in "".join(line for line in running.lines if not line.startswith("{"))


# --- what reads along in all tests finds what it is there for ---


SECRET = "recognizable-0123456789"


@pytest.mark.parametrize("leak", ["nothing", "the log", "the answer", "a header"])
async def test_a_leak_is_found(leak: str) -> None:
    """A secret of the request in a log or an answer, and a missing header, are noticed; an honest answer is not."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        if leak == "the log":
            logging.getLogger("postroom.test").info("The password is %s", SECRET)
        return web.json_response({"message": SECRET if leak == "the answer" else "Thank you"})

    async def drop_header(_request: web.Request, response: web.StreamResponse) -> None:
        if leak == "a header":
            del response.headers["Referrer-Policy"]

    app, heard = web.Application(), eavesdropper.Eavesdropper()
    app.router.add_post("/", handle)
    app.on_response_prepare.extend([drop_header, heard.check_answer])
    runner = make_runner(app, 1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with heard:
            async with ClientSession() as session:
                url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
                async with session.post(url, json={"users": [{"password": SECRET}]}) as answer:
                    assert answer.status == 200
    finally:
        await runner.cleanup()
    # A leak in the log is one in both of its forms.
    assert len(list(heard.breaches())) == {"nothing": 0, "the log": 2}.get(leak, 1)
