"""What a handler declared to take, loaded and checked before it runs.

The declarations are those of aiohttp-apispec's decorators. Its own validation middleware is not used: it parses every
location for every request, which is the dearest thing on the way to a single read, and reports errors through a
callback that all applications of a process share.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.http import HttpProcessingError
from marshmallow import Schema, ValidationError, fields
from multidict import MultiDict
from yarl import URL

from postroom.app.errors import CutOffError, InvalidError, TooLargeError, UnsupportedError
from postroom.app.web.keys import BODY, QUERY
from postroom.schemas.fields import CommaSeparated

#: Largest body that is read, in bytes.
MAX_BODY: Final = 1024 * 1024
#: Values in one body, and fields of an object in it: far more than the longest lists of the schemas guard.
MOST_VALUES: Final = 100_000
MOST_FIELDS: Final = 2_000
#: Bytes of a body that is loaded on the event loop. A longer one would make everybody wait for it.
LOADED_AT_ONCE: Final = 4 * 1024

#: Longest list of reasons in one answer.
_MOST_ERRORS = 50

#: Loads long bodies. They share the interpreter with the event loop, which gets its turn every 5 ms: the fewer the
#: better, and two, so that nobody's long body holds up everybody's.
_loaders = ThreadPoolExecutor(2, thread_name_prefix="postroom-bodies")


def load(schema: Schema, data: Any) -> Any:
    """`data` as the schema loads it. Raises InvalidError that lists every "field: reason"."""
    try:
        return schema.load(data)
    except ValidationError as error:
        reasons = list(islice(_flatten(error.messages), _MOST_ERRORS))
        raise InvalidError(f"Invalid input: {'; '.join(reasons[:3])}", reasons) from None


def _flatten(messages: Any, path: str = "") -> Iterator[str]:
    if isinstance(messages, dict):
        for key, value in messages.items():
            # "_schema" is marshmallow's word for "the whole": there is no field to name.
            name = path if key == "_schema" else f"{path}.{key}" if path else str(key)
            yield from _flatten(value, name[:200])
        return
    for reason in messages if isinstance(messages, list) else [messages]:
        yield f"{path}: {reason}" if path else str(reason)


def input_loader(handler: object) -> Callable[[web.Request], Awaitable[None]] | None:
    """Loads what the handler has declared into request[QUERY] and request[BODY]; None when it has declared nothing."""
    schemas = {entry["location"]: entry["schema"] for entry in getattr(handler, "__schemas__", ())}
    load_query = query_loader(schemas["querystring"]) if "querystring" in schemas else None
    body_schema = schemas.get("json")
    look_up: Callable[[web.Request], Awaitable[None]] | None = getattr(handler, "look_up", None)
    if load_query is None and body_schema is None:
        return None

    async def load_input(request: web.Request) -> None:
        try:
            if load_query is not None:
                request[QUERY] = load_query(request)
            if body_schema is not None:
                request[BODY] = await load_body(request, body_schema)
        except InvalidError:
            # What is not there is not there, whatever else is wrong. Asked only now, because it costs a look-up.
            if look_up is not None:
                await look_up(request)
            raise

    return load_input


def query_loader(schema: Schema) -> Callable[[web.Request], Any]:
    """Loads the query of requests by a schema, ignoring parameters it does not know.

    Lists are polled with the same query over and over, so what it loaded to is remembered.
    """
    names = [field.data_key or name for name, field in schema.fields.items()]
    several = {field.data_key or name for name, field in schema.fields.items() if isinstance(field, fields.List)}
    # Clients that do not read how a list is written repeat the name: all of the values count, not one of them.
    joined = {field.data_key or name for name, field in schema.fields.items() if isinstance(field, CommaSeparated)}

    def value(query: MultiDict[str], name: str) -> Any:
        found = query.getall(name)
        return found if name in several else ",".join(found) if name in joined else found[0]

    def parse(raw: str) -> Any:
        query: MultiDict[str] = MultiDict(URL(f"/?{raw}", encoded=True).query)
        return load(schema, {name: value(query, name) for name in names if name in query})

    remembered = lru_cache(maxsize=256)(parse)

    def load_query(request: web.Request) -> Any:
        raw = request.rel_url.raw_query_string
        return remembered(raw) if len(raw) <= 256 else parse(raw)

    return load_query


def reads_body(handler: object) -> bool:
    """Whether the handler has declared that it takes a body."""
    return any(entry["location"] in ("json", "form") for entry in getattr(handler, "__schemas__", ()))


async def receive(request: web.Request, most: int = MAX_BODY) -> bytes:
    """The body, which is read once. Its bytes are as they came: nothing is inflated, and no character set is believed.

    Raises UnsupportedError, TooLargeError, InvalidError for one that is not encoded as its header says, CutOffError.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedError("The body is compressed; only bodies without a Content-Encoding are read")
    # Before the body is here, if it says so itself.
    if (request.content_length or 0) > most:
        raise _too_large(most)
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(MAX_BODY) from None
    except ConnectionError:
        raise CutOffError from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise InvalidError("The body is not encoded as its header says") from None
    if len(raw) > most:
        raise _too_large(most)
    return raw


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than {'1 MiB' if most == MAX_BODY else f'{most // 1024} KiB'}")


def parse_json(raw: bytes, content_type: str | None) -> Any:
    """A body as JSON, None when there is none. Raises InvalidError when it is something else, or too much of it.

    `content_type`: None when the request says none.
    """
    if not raw.strip():
        return None
    if content_type not in (None, "application/json"):
        raise InvalidError(f"The body has the content type {content_type[:100]!r}; application/json is needed")
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        reason = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise InvalidError(f"The body is no valid JSON: {reason}") from None
    if data is None:
        # Otherwise it would pass for a body that is not there.
        raise InvalidError("The body is null, where a JSON object is needed")
    # In less than that there is no room for too many. How deep they are nested, orjson looks at: 1,024 is too much.
    if len(raw) > LOADED_AT_ONCE and isinstance(data, (dict, list)):
        _check_size(data)
    return data


def content_type_of(request: web.Request) -> str | None:
    """The content type that the request says its body has; None when it says none."""
    return request.content_type if "Content-Type" in request.headers else None


def _check_size(data: Any) -> None:
    """Raises InvalidError for JSON of more values, or objects of more fields, than any schema takes."""
    values, unseen = 0, [data]
    while unseen:
        each = unseen.pop()
        if isinstance(each, dict):
            if len(each) > MOST_FIELDS:
                raise InvalidError(f"An object in the body has more than {MOST_FIELDS:,} fields")
            inner: Iterable[Any] = each.values()
        else:
            inner = each
        values += len(each)
        if values > MOST_VALUES:
            raise InvalidError(f"The body has more than {MOST_VALUES:,} values")
        unseen += [one for one in inner if isinstance(one, (dict, list))]


@lru_cache(maxsize=64)
def _narrowed(schema: Schema, names: frozenset[str]) -> Schema:
    return type(schema)(only=names, unknown=schema.unknown)


def _for_fields(schema: Schema, names: Iterable[str]) -> Schema:
    """The schema for a body with these fields of a PATCH, where any may be missing; unknown ones are still refused.

    marshmallow looks at every field of a schema, also at those that are not there: for one field of a user that is most
    of the time that loading takes. Which fields come together is remembered.
    """
    return _narrowed(schema, frozenset(name for name in names if name in schema.fields))


async def load_body(request: web.Request, schema: Schema) -> Any:
    """The body as the schema loads it. Raises InvalidError, and what receive() raises."""
    raw = await receive(request)
    if len(raw) <= LOADED_AT_ONCE:
        return _load(raw, content_type_of(request), schema, request.method)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_loaders, _load, raw, content_type_of(request), schema, request.method)


def _load(raw: bytes, content_type: str | None, schema: Schema, method: str) -> Any:
    data = parse_json(raw, content_type)
    if data is None and getattr(schema, "optional", False):
        data = {}
    # A body that is a bare array is loaded as the field that the schema names.
    bare_list = getattr(schema, "bare_list", None)
    if bare_list is not None:
        if not isinstance(data, list):
            raise InvalidError("The body must be a JSON array")
        data = {bare_list: data}
    if not isinstance(data, dict):
        found = "nothing" if data is None else "something else"
        raise InvalidError(f"The body must be a JSON object, and is {found}")
    return load(_for_fields(schema, data) if method == "PATCH" and bare_list is None else schema, data)
