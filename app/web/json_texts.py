"""Parses JSON that a client sent: a whole body, or a line of one."""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from postroom.app.errors import InvalidError

#: Most values in one body, and most fields in one object: far more than the longest lists of the schemas need.
MOST_VALUES: Final = 100_000
MOST_FIELDS: Final = 2_000
#: Largest body that is loaded on the event loop, in bytes. A larger one would block all other requests.
LOADED_AT_ONCE: Final = 4 * 1024


def parse_json(raw: bytes, content_type: str | None) -> Any:
    """Parses a body as JSON; None if it is empty. Raises InvalidError when it is not JSON, or has too many values.

    `content_type`: None when the request has none.
    """
    if not raw.strip():
        return None
    check_content_type(content_type, "application/json")
    data = parse(raw, "body")
    if data is None:
        # Otherwise it would count as an empty body.
        raise InvalidError("The body is null; a JSON object is needed")
    return data


def parse(raw: bytes, what: str) -> Any:
    """Parses JSON, which is a body or a line. Raises InvalidError when it is not JSON, or has too many values."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise InvalidError(f"The {what} is not valid JSON: {reason}") from None
    # A smaller one has no room for too many values. orjson itself limits nesting: it refuses 1,024 levels.
    if len(raw) > LOADED_AT_ONCE and isinstance(data, (dict, list)):
        _check_size(data, what)
    return data


def check_content_type(found: str | None, needed: str) -> None:
    """Raises InvalidError when a body has another content type. None: the request has none."""
    if found not in (None, needed):
        raise InvalidError(f"The body has the content type {found[:100]!r}; {needed} is needed")


def _check_size(data: Any, what: str) -> None:
    """Raises InvalidError for JSON with more values, or an object with more fields, than any schema takes."""
    values, unseen = 0, [data]
    while unseen:
        each = unseen.pop()
        if isinstance(each, dict):
            if len(each) > MOST_FIELDS:
                raise InvalidError(f"An object in the {what} has more than {MOST_FIELDS:,} fields")
            inner: Iterable[Any] = each.values()
        else:
            inner = each
        values += len(each)
        if values > MOST_VALUES:
            raise InvalidError(f"The {what} has more than {MOST_VALUES:,} values")
        unseen += [one for one in inner if isinstance(one, (dict, list))]
