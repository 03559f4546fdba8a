"""Strict mode: what the description of the API does not allow in requests and in responses."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from postroom.app.openapi.document import build
from postroom.app.routes import BASE, ROUTES
from postroom.app.web.inputs import content_type_of
from postroom.app.web.ndjson import CONTENT_TYPE as NDJSON
from postroom.testing.bodies import FORM_TYPE, JSON_TYPE, is_secret
from postroom.testing.errors import HarnessError

if TYPE_CHECKING:
    from postroom.testing.description import Breach, Description

#: Characters of the longest value that is shown.
_LONGEST: Final = 100
_NUMBERS: Final[dict[str, tuple[re.Pattern[str], Callable[[str], Any]]]] = {
    "integer": (re.compile(r"-?\d+", re.ASCII), int),
    "number": (re.compile(r"-?\d+(\.\d+)?", re.ASCII), float),
}


@cache
def description() -> "Description":
    """The description that the service has of itself. Raises HarnessError."""
    try:
        from postroom.testing.description import Description
    except ImportError:
        raise HarnessError("strict needs another package: pip install 'postroom[testing]'") from None
    return Description(json.loads(build(BASE, ROUTES)), mask="the value")


def problems_of(request: web.Request, raw: bytes | None, response: web.StreamResponse | None) -> tuple[str, ...]:
    """What is not as described. `raw`: the body as it was read; None: it was not. No response: there is none yet."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else ""
    operation = ("GET" if request.method == "HEAD" else request.method, path.removeprefix(BASE))
    if operation not in description().operations:
        is_known = request.method == "OPTIONS" or not request.path.startswith(f"{BASE}/")
        return () if is_known else (f"{request.method} {request.path}: there is no such operation",)
    found = [*_of_parameters(request, operation), *_of_body(request, raw, operation)]
    if isinstance(response, web.Response) and request.method != "HEAD":
        found += _of_answer(response, operation)
    return tuple(found)


def _of_parameters(request: web.Request, operation: tuple[str, str]) -> Iterator[str]:
    described = description().parameters(operation)
    query = {name: _read(described.get(name, _ANY), request.query.getall(name)) for name in request.query}
    path = {name: _typed(described[name]["schema"], text) for name, text in request.match_info.items()}
    for place, values in (("query", query), ("path", path)):
        for breach in description().parameter_breaches(operation, place, values):
            yield _said(place, breach)


#: What is not described may be anything; that it is there at all is the problem.
_ANY: Final[dict[str, Any]] = {"schema": {}}


def _read(parameter: Mapping[str, Any], values: list[str]) -> Any:
    schema = parameter["schema"]
    if schema.get("type") == "array":
        parts = values if parameter.get("explode", True) or len(values) > 1 else values[0].split(",")
        return [_typed(schema["items"], part) for part in parts if part]
    # Given several times, it has the wrong type.
    return _typed(schema, values[0]) if len(values) == 1 else values


def _typed(schema: Mapping[str, Any], text: str) -> Any:
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(text, text)
    form, make = _NUMBERS.get(schema.get("type", ""), (None, None))
    return make(text) if form is not None and make is not None and form.fullmatch(text) else text


def _of_body(request: web.Request, raw: bytes | None, operation: tuple[str, str]) -> Iterator[str]:
    described = description().operations[operation].get("requestBody", {})
    if raw is None or not raw.strip():
        if raw is not None and described.get("required"):
            yield "body: there is none"
        return
    types = described.get("content", {})
    given = content_type_of(request) or JSON_TYPE
    # The login takes its form as JSON as well, which no client generator could understand.
    if given not in types and not (given == JSON_TYPE and FORM_TYPE in types):
        yield f"body: {given} is not described, but {' or '.join(types) or 'no body'}"
    elif given != NDJSON:
        yield from _of_value(operation, _parsed(raw, given))


def _of_value(operation: tuple[str, str], value: Any) -> Iterator[str]:
    if value is _UNREADABLE:
        yield "body: is no JSON"
        return
    for breach in description().body_breaches(operation, value):
        yield _said("body", breach)


_UNREADABLE: Final = object()


def _parsed(raw: bytes, content_type: str) -> Any:
    if content_type == FORM_TYPE:
        return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        return orjson.loads(raw)
    except ValueError:
        return _UNREADABLE


def _of_answer(response: web.Response, operation: tuple[str, str]) -> Iterator[str]:
    body = response.body
    if isinstance(body, bytes) and response.content_type == JSON_TYPE:
        for breach in description().answer_breaches(operation, response.status, orjson.loads(body)):
            yield _said("answer", breach)


def _said(place: str, breach: "Breach") -> str:
    is_shown = isinstance(breach.value, str | int | float | None) and not is_secret(breach.where.rpartition("/")[2])
    value = f": {json.dumps(breach.value)[:_LONGEST]}" if is_shown and breach.where.startswith("/") else ""
    return f"{place} {breach.where}".strip() + f": {breach.what}{value}"
