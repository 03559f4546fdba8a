"""Searches the log and the responses of a service under test for secrets and forged lines."""

import logging
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from postroom.app.logs import JsonFormatter, LineFormatter

REQUEST_ID: Final = re.compile(r"[0-9a-f]{17}-[1-9][0-9]*")

#: The headers of every response.
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "postroom",
}
_POLICY: Final = re.compile(r"default-src 'none';.* frame-ancestors 'none'")

#: Names of fields with secrets.
_SECRET: Final = re.compile(r"pass|secret|token|jwt|csrf|^old$|^new$", re.IGNORECASE)
#: Shorter secrets would be found in any text.
_RECOGNIZABLE: Final = 10
#: Bytes of the longest body that is searched.
_LONGEST_BODY: Final = 16 * 1024


def header_faults(headers: Any) -> list[str]:
    """The headers that a response lacks."""
    faults = [f"{name}: {headers.get(name)}" for name, value in HEADERS.items() if headers.get(name) != value]
    if not _POLICY.fullmatch(headers.get("Content-Security-Policy", "")):
        faults.append(f"Content-Security-Policy: {headers.get('Content-Security-Policy')}")
    if not REQUEST_ID.fullmatch(headers.get("X-Request-ID", "")):
        faults.append(f"X-Request-ID: {headers.get('X-Request-ID')}")
    return faults


class Eavesdropper(logging.Handler):
    """Records the lines of the log and the secrets in requests while a block runs."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self.lines: list[str] = []
        self._json = JsonFormatter()
        self.json_lines: list[str] = []
        self.secrets: set[str] = set()
        self.faults: list[str] = []
        self._level = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        """Notes the entry in both forms that the program can write."""
        self.lines.append(self.format(record))
        self.json_lines.append(self._json.format(record))

    def __enter__(self) -> "Eavesdropper":
        self._level = logging.getLogger("postroom").level
        logging.getLogger("postroom").setLevel(logging.INFO)
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        logging.getLogger("postroom").setLevel(self._level)

    async def check_answer(self, request: web.Request, response: web.StreamResponse) -> None:
        """Call this with every response before it goes out."""
        brought = set(secrets_of(request))
        self.secrets |= brought
        self.faults += header_faults(response.headers)
        if not brought or not isinstance(response, web.Response) or not isinstance(response.body, bytes):
            return
        said = response.body.decode("utf-8", "replace") + str(response.headers)
        self.faults += [f"{request.method} {request.path} answers {secret!r}" for secret in brought if secret in said]

    def breaches(self) -> Iterator[str]:
        """The faults that were found in responses and lines."""
        yield from self.faults
        for line in "\n".join(self.lines).split("\n"):
            if not line.isprintable():
                yield f"not one line of text: {line!r}"
            for secret in self.secrets:
                if secret in line:
                    yield f"{secret!r} in the log: {line}"
        for line in self.json_lines:
            if not (line.isascii() and line.isprintable()):
                yield f"not one line of ASCII: {line!r}"
            told = str(list(orjson.loads(line).values()))
            for secret in self.secrets:
                if secret in told or secret in line:
                    yield f"{secret!r} in the log as JSON: {line}"


def secrets_of(request: web.Request) -> Iterator[str]:
    """The secrets in the headers, query and body of a request."""
    sent = [request.headers.get("Authorization", "").partition(" ")[2], request.headers.get("X-Csrf-Token", "")]
    sent += [part.partition("=")[2] for part in request.headers.get("Cookie", "").split(";")]
    sent += _secrets_in(dict(request.query))
    body = request._read_bytes or b""
    # Tests send long bodies to measure delays, and searching them would add to these.
    body = body if len(body) <= _LONGEST_BODY else b""
    try:
        sent += _secrets_in(orjson.loads(body))
    except orjson.JSONDecodeError:
        sent += _secrets_in(dict(parse_qsl(body.decode("utf-8", "replace"))))
    # A single word may occur in any sentence.
    return (secret for secret in sent if len(secret) >= _RECOGNIZABLE and not secret.isalpha())


def _secrets_in(value: Any) -> Iterator[str]:
    left: list[tuple[str, Any]] = [("", value)]
    # Not recursively: a body may be nested deeper than calls can be.
    while left:
        name, each = left.pop()
        if isinstance(each, dict):
            left += each.items()
        elif isinstance(each, list):
            left += [(name, one) for one in each]
        elif isinstance(each, str) and _SECRET.search(name):
            yield each
