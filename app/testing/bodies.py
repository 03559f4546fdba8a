"""Bodies of requests as they are shown: without passwords."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

JSON_TYPE: Final = "application/json"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
#: Bytes of the longest body that is kept.
_LONGEST: Final = 64 * 1024
#: Fields whose values are not kept.
_SECRET: Final = re.compile(r"pass|secret|token|jwt|csrf|hash|^old$|^new$", re.IGNORECASE)
MASKED: Final = "***"


def is_secret(name: str) -> bool:
    """Whether the values of such a field are not shown."""
    return _SECRET.search(name) is not None


async def raw_of(request: web.Request) -> bytes | None:
    """The body, if it has been read as a whole. None: not, or not yet."""
    if not request.body_exists:
        return b""
    # Only what has been read: the rest may never come.
    if not request.content.at_eof() or request.content.exception() is not None:
        return None
    # Of lines, nothing is left.
    return await request.read() or None


def shown(raw: bytes | None, content_type: str) -> Any:
    """Parsed, with passwords and tokens masked. None when there is none, and when it is long."""
    if not raw or len(raw) > _LONGEST:
        return None
    if content_type == FORM_TYPE:
        return _masked(dict(parse_qsl(raw.decode("utf-8", "replace"))))
    try:
        return _masked(orjson.loads(raw))
    except ValueError:
        # It cannot be masked.
        return f"({len(raw)} bytes that are no JSON)"


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: MASKED if isinstance(inner, str) and is_secret(name) else _masked(inner)
            for name, inner in value.items()
        }
    return [_masked(inner) for inner in value] if isinstance(value, list) else value
