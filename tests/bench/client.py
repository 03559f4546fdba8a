"""Single requests to the service: logging in, and fetching what is to be compared."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from tests.bench.servers import PASSWORD, BrokenRunError


def log_in(url: str) -> str:
    """The administrator's token."""
    credentials = json.dumps({"user": "admin", "pass": PASSWORD}).encode()
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
