"""Loads and validates the input of a handler before the handler runs.

aiohttp-apispec's decorators declare the input. Its own validation middleware is not used: it parses every location for
every request, which is the most expensive part of a single read, and it reports errors through a callback that all
applications of a process share.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeVar, TypeVarTuple

from aiohttp import web
from aiohttp.http import HttpProcessingError
from marshmallow import Schema, ValidationError, fields
from multidict import MultiDict
from yarl import URL

from postroom.app.errors import CutOffError, InvalidError, TooLargeError, UnsupportedError
from postroom.app.web.json_texts import LOADED_AT_ONCE, parse_json
from postroom.app.web.keys import BODY, QUERY
from postroom.schemas.fields import CommaSeparated

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Largest body, in bytes.
MAX_BODY: Final = 1024 * 1024

#: Most reasons in one response.
_MOST_ERRORS = 50

#: Loads large bodies. The threads share the interpreter with the event loop, which gets its turn every 5 ms, so few are
#: better. Two, so that one large body does not hold up all others.
_loaders = ThreadPoolExecutor(2, thread_name_prefix="postroom-bodies")


def load(schema: Schema, data: Any) -> Any:
    """Loads `data` by the schema. Raises InvalidError with a list of all "field: reason"."""
    try:
        return schema.load(data)
    except ValidationError as error:
        reasons = list(islice(_flatten(error.messages), _MOST_ERRORS))
        raise InvalidError(f"Invalid input: {'; '.join(reasons[:3])}", reasons) from None


def _flatten(messages: Any, path: str = "") -> Iterator[str]:
    if isinstance(messages, dict):
        for key, value in messages.items():
            # marshmallow's "_schema" stands for the whole object: there is no field to name.
            name = path if key == "_schema" else f"{path}.{key}" if path else str(key)
            yield from _flatten(value, name[:200])
        return
    for reason in messages if isinstance(messages, list) else [messages]:
        yield f"{path}: {reason}" if path else str(reason)


def input_loader(handler: object) -> Callable[[web.Request], Awaitable[None]] | None:
    """A function that loads a handler's input into request[QUERY] and request[BODY]; None if it declares no input."""
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
            # A missing object is a 404 even if the input is invalid. Checked only now, because it costs a look-up.
            if look_up is not None:
                await look_up(request)
            raise

    return load_input


def query_loader(schema: Schema) -> Callable[[web.Request], Any]:
    """A function that loads the query of a request by a schema and ignores unknown parameters.

    Clients poll lists with the same query over and over, so results are cached.
    """
    names = [field.data_key or name for name, field in schema.fields.items()]
    several = {field.data_key or name for name, field in schema.fields.items() if isinstance(field, fields.List)}
    # Some clients repeat the name instead of writing a comma-separated list: all values count, not only the first.
    joined = {field.data_key or name for name, field in schema.fields.items() if isinstance(field, CommaSeparated)}

    def value(query: MultiDict[str], name: str) -> Any:
        found = query.getall(name)
        return found if name in several else ",".join(found) if name in joined else found[0]

    def parse(raw: str) -> Any:
        query: MultiDict[str] = MultiDict(URL(f"/?{raw}", encoded=True).query)
        return load(schema, {name: value(query, name) for name in names if name in query})

    cached = lru_cache(maxsize=256)(parse)

    def load_query(request: web.Request) -> Any:
        raw = request.rel_url.raw_query_string
        return cached(raw) if len(raw) <= 256 else parse(raw)

    return load_query


def reads_body(handler: object) -> bool:
    """Whether the handler declares a body."""
    return any(entry["location"] in ("json", "form") for entry in getattr(handler, "__schemas__", ()))


async def receive(request: web.Request, most: int = MAX_BODY) -> bytes:
    """The raw body of at most `most` bytes, read once: neither decompressed nor decoded.

    Raises UnsupportedError, TooLargeError, CutOffError, and InvalidError when the body is not encoded as its header
    says.
    """
    check_encoding(request)
    # Refuses by the declared length before the body arrives.
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


def check_encoding(request: web.Request) -> None:
    """Raises UnsupportedError when the body is compressed: a few bytes can become very many."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedError("The body is compressed; only bodies without a Content-Encoding are read")


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"The body is larger than {'1 MiB' if most == MAX_BODY else f'{most // 1024} KiB'}")


def content_type_of(request: web.Request) -> str | None:
    """The content type of the body as the request declares it; None when it declares none."""
    return request.content_type if "Content-Type" in request.headers else None


@lru_cache(maxsize=64)
def _narrowed(schema: Schema, names: frozenset[str]) -> Schema:
    return type(schema)(only=[name for name in schema.fields if name in names], unknown=schema.unknown)


def for_fields(schema: Schema, names: Iterable[str]) -> Schema:
    """A schema without required fields, narrowed to the fields in the body; it still refuses unknown fields.

    marshmallow visits every field of a schema, even missing ones: for one field of a user that is most of the loading
    time. Narrowed schemas are cached by their set of fields.
    """
    return _narrowed(schema, frozenset(name for name in names if name in schema.fields))


async def load_body(request: web.Request, schema: Schema) -> Any:
    """Loads the body by the schema. Raises InvalidError, and the errors of receive()."""
    raw = await receive(request)
    return await by_size(raw, _load, raw, content_type_of(request), schema, request.method)


async def by_size(raw: bytes, load_it: Callable[[*Ts], T], *args: *Ts) -> T:
    """The result of `load_it(*args)`, which takes time in proportion to these bytes: many are loaded on a thread."""
    if len(raw) <= LOADED_AT_ONCE:
        return load_it(*args)
    return await asyncio.get_running_loop().run_in_executor(_loaders, load_it, *args)


def _load(raw: bytes, content_type: str | None, schema: Schema, method: str) -> Any:
    data = parse_json(raw, content_type)
    if data is None and getattr(schema, "optional", False):
        data = {}
    # A bare array is loaded as the field that the schema names in `bare_list`.
    bare_list = getattr(schema, "bare_list", None)
    if bare_list is not None:
        if not isinstance(data, list):
            raise InvalidError("The body must be a JSON array")
        data = {bare_list: data}
    if not isinstance(data, dict):
        found = "nothing" if data is None else "something else"
        raise InvalidError(f"The body must be a JSON object, and is {found}")
    return load(for_fields(schema, data) if method == "PATCH" and bare_list is None else schema, data)
