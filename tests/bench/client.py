"""Single requests to the service: logging in, and fetching what is to be compared."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.bench.servers import PASSWORD, BrokenRunError

#: Seconds; an update of very many people takes its time.
_PATIENCE = 180


def log_in(url: str, user: str = "admin") -> str:
    """The token of a user; all of them have the same password."""
    credentials = json.dumps({"user": user, "pass": PASSWORD}).encode()
    answer = fetch(f"{url}/api/v1/login", {"Content-Type": "application/json"}, credentials)
    token: str = json.loads(answer)["grommunioAuthJwt"]
    return token


def fetch(url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> bytes:
    """The body of a successful answer to a GET, or to a POST when there is a body to send."""
    request = urllib.request.Request(url, body, dict(headers or {}))  # noqa: S310 - the address of our own server
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            answer: bytes = response.read()
    except urllib.error.URLError as error:
        raise BrokenRunError(f"{request.get_method()} {url}: {error}") from None
    return answer


def call(url: str, token: str, method: str, path: str, body: object = None) -> Any:
    """What the JSON of a successful answer says, on a connection of its own."""
    status, answered = answer_of(url, token, method, path, body)
    if status >= 300:
        raise BrokenRunError(f"{method} {path} was answered with {status}: {str(answered)[:200]}")
    return answered


def answer_of(url: str, token: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """The status and what the JSON says, whatever they are."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except OSError as error:
        raise BrokenRunError(f"{method} {path}: {error}") from None
    finally:
        connection.close()
