"""Bodies made to be expensive: whatever one client sends, the others are answered as ever."""

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from marshmallow import Schema, fields

from postroom.app.routes import ROUTES
from postroom.app.web.json_texts import MOST_FIELDS, MOST_VALUES
from postroom.app.web.routing import Route
from postroom.schemas.fields import Listed, Mapped, Short, Text
from postroom.schemas.users import Address, Addresses
from tests.app.handlers.test_errors import BODY_ROUTES
from tests.support.raw import connect, talk
from tests.support.service import Api, Service

pytestmark = pytest.mark.attack

MIB = 1024 * 1024
#: Seconds that nobody may have to wait for. A machine that has other things to do as well takes its share of them.
LONGEST_WAIT = 1.0


@asynccontextmanager
async def others(service: Service) -> AsyncIterator[list[float]]:
    """Another client asks for the status every 10 ms; the list holds how long it waited for each answer."""
    reader, writer = await connect(service)
    waits: list[float] = []

    async def ask() -> None:
        while True:
            began = time.perf_counter()
            writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)

    asking = asyncio.create_task(ask())
    try:
        yield waits
        # The answer that is under way counts as well.
        seen = len(waits)
        async with asyncio.timeout(30):
            while len(waits) <= seen:  # noqa: ASYNC110 - the client has no event
                await asyncio.sleep(0.005)
    finally:
        asking.cancel()
        writer.close()
    assert max(waits) < LONGEST_WAIT, f"somebody waited for {max(waits):.2f} s"


def repeated(item: str, size: int, most: int = MIB) -> str:
    """An array of so many bytes, of this over and over."""
    return "[" + ",".join([item] * min(size // (len(item) + 1), most)) + "]"


def international(size: int) -> str:
    """Addresses in as many different international domains as there is room for."""
    addresses = (f'"ü{i}@{".".join(f"ä{i}ö{part}" for part in range(6))}.example"' for i in range(size // 100))
    return "[" + ",".join(addresses) + "]"


#: JSON of about so many bytes that is expensive to look at, for whatever looks at it.
SHAPES: dict[str, Any] = {
    "numbers": lambda size: repeated("1", size),
    "empty objects": lambda size: repeated("{}", size),
    "a thousand objects": lambda size: repeated("{" + ",".join(f'"k{i}":1' for i in range(90)) + "}", size, 1000),
    "wrong addresses": lambda size: repeated('"@@"', size, 10_000),
    "international domains": international,
    "many fields": lambda size: "{" + ",".join(f'"k{i}":{{}}' for i in range(size // 12)) + "}",
    "a long word": lambda size: '"' + "a." * (size // 2) + '"',
    "a long filter": lambda size: '"(&' + "(a=b)" * (size // 5) + ')"',
    "brackets": lambda size: "[" * 1000 + "]" * 1000,
}


def json_schema_of(route: Route) -> Schema | None:
    """What the operation takes as JSON."""
    found = [entry["schema"] for entry in getattr(route.handler, "__schemas__", ()) if entry["location"] == "json"]
    return found[0] if found else None


def bodies(schema: Schema) -> Iterator[tuple[str, bytes]]:
    """Bodies of at most 1 MiB: each shape as the whole, in every field at once, and in every field of each object."""
    names = list(schema.fields)
    nested = [(name, field.schema) for name, field in schema.fields.items() if isinstance(field, fields.Nested)]
    for shape, make in SHAPES.items():
        yield shape, make(MIB - 100).encode()
        if names and not hasattr(schema, "bare_list"):
            each = make((MIB - 2000) // len(names) - 40)
            yield f"{shape} in all fields", ("{" + ",".join(f'"{name}":{each}' for name in names) + "}").encode()
        for outer, inner in nested:
            each = make((MIB - 2000) // len(inner.fields) - 40)
            within = ",".join(f'"{name}":{each}' for name in inner.fields)
            yield f"{shape} in {outer}", f'{{"{outer}":{{{within}}}}}'.encode()


def path_of(route: Route, domain: int) -> str:
    """A path that leads to somebody."""
    return route.path.format(
        domainID=domain, userID=1, ID=1, username="jane@example.org", deviceID="phone", sessionID="x"
    )


JSON_ROUTES = [route for route in BODY_ROUTES if json_schema_of(route) is not None]


@pytest.mark.parametrize("route", JSON_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_nobody_waits_for_a_long_body(service: Service, admin: Api, domain: int, route: Route) -> None:
    """The most expensive bodies of 1 MiB that each operation takes are refused or done, and hold up nobody."""
    await admin.make_user(domain, "jane")
    schema = json_schema_of(route)
    assert schema is not None
    async with others(service):
        for shape, body in bodies(schema):
            assert len(body) <= MIB, shape
            headers = {"Content-Type": "application/json"}
            answer = await admin.call(route.method, path_of(route, domain), data=body, headers=headers)
            assert answer.status < 500, (shape, answer.body)
            assert len(answer.body.get("errors", [])) <= 50


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_lists_and_texts_have_a_length(route: Route) -> None:
    """Every array, object of any names and text that an operation takes has a length that is looked at first."""
    schema = json_schema_of(route)
    if schema is not None:
        assert [*unbounded(schema, type(schema).__name__)] == []


#: Arrays and texts that are compared with what is stored, and looked at no further.
COMPARED = {"UserPatchSchema.roles", "DomainPatchSchema.displayname"}


def unbounded(schema: Schema, path: str) -> Iterator[str]:
    """The fields without a length."""
    for name, field in schema.fields.items():
        inner = field.inner if isinstance(field, fields.List) else field
        here = f"{path}.{name}"
        if isinstance(inner, fields.Nested):
            yield from unbounded(inner.schema, here)
        if here in COMPARED:
            continue
        if isinstance(field, (fields.List, fields.Dict)):
            bounds = [each.max for each in field.validators if hasattr(each, "max")]
            if not isinstance(field, (Listed, Mapped)) or not bounds or bounds[0] > 10_000:
                yield here
        elif isinstance(field, fields.String) and not isinstance(field, (Text, Address, Short)):
            yield here


async def test_addresses_in_too_many_domains(admin: Api, domain: int) -> None:
    """A list of addresses may have very many, but not in more domains than can be worked out in a moment."""
    jane = await admin.make_user(domain, "jane")
    path = f"/domains/{domain}/users/{jane['ID']}/delegates"
    most = Addresses.most_domains
    some = [f"u{i}@d{i % most}.example" for i in range(10_000)]
    await admin.put(path, some)
    assert "different domains" in await admin.refused(400, "PUT", path, [*some[1:], "u@one-too-many.example"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({"user": {f"k{i}": None for i in range(MOST_FIELDS + 1)}}), f"{MOST_FIELDS:,} fields"),
        (json.dumps([[1] * MOST_VALUES]), f"{MOST_VALUES:,} values"),
        ("[" * 5000 + "]" * 5000, "not valid JSON"),
    ],
    ids=["fields", "values", "depth"],
)
async def test_too_much_of_anything(admin: Api, body: str, reason: str) -> None:
    """A body with too many fields, values or brackets is a 400 that says so, before a schema looks at it."""
    headers = {"Content-Type": "application/json"}
    assert reason in await admin.refused(400, "PUT", "/defaults/createParams", data=body.encode(), headers=headers)


async def test_as_much_as_is_allowed_is_loaded(admin: Api, domain: int) -> None:
    """A text of nothing but commas and brackets counts as one value, and a list of the full length is taken."""
    jane = await admin.make_user(domain, "jane")
    path = f"/domains/{domain}/users/{jane['ID']}"
    await admin.patch(path, {"properties": {"comment": '[{",' * 8000}})
    await admin.put(f"{path}/delegates", [f"u{i}@example.net" for i in range(10_000)])
    assert len((await admin.get(f"{path}/delegates"))["data"]) == 10_000


# --- compressed ones ---


def bomb(mebibytes: int, wbits: int) -> bytes:
    """So many MiB of blanks, compressed a thousandfold."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join(compressor.compress(b" " * MIB) for _ in range(mebibytes)) + compressor.flush()


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("GZip", 31)])
@pytest.mark.parametrize(
    "where", ["POST /api/v1/login", "PUT /api/v1/passwd", "POST /api/v1/system/orgs", "POST /nope"]
)
async def test_a_bomb_is_not_inflated(service: Service, where: str, encoding: str, wbits: int) -> None:
    """200 MiB in 200 KiB are refused without a look into them, and also thrown away without one: nobody waits."""
    body = bomb(200, wbits)
    head = (
        f"{where} HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    )
    async with others(service):
        found = await talk(service, head + body, b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n", quiet=1)
    expected = {"POST /nope": 404, "POST /api/v1/system/orgs": 401}.get(where, 415)
    # The connection goes on when the body has passed.
    assert found.statuses == [expected, 200]


@pytest.mark.parametrize("route", BODY_ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_compressed_bodies_are_refused(admin: Api, domain: int, route: Route) -> None:
    """A body that is compressed is a 415 for every operation, whatever is in it; "identity" says that it is not."""
    await admin.make_user(domain, "jane")
    for encoding in ("gzip", "deflate", "br", "zstd", "identity, gzip", "nonsense"):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        body, path = gzip.compress(b"{}"), path_of(route, domain)
        reasons = await admin.refused(415, route.method, path, data=body, headers=headers)
        assert "compressed" in reasons
    headers = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    answer = await admin.call(route.method, path_of(route, domain), data=b"{", headers=headers)
    assert answer.status == 400


# --- forms ---

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=b"


def part(name: str, value: str, more: str = "") -> bytes:
    """One part of a form."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'.encode()


HEAVY_FORMS: dict[str, tuple[str, bytes, int]] = {
    "punycode": (f"{FORM}; charset=punycode", b"user=" + b"a" * (MIB - 5), 413),
    "punycode that is short": (f"{FORM}; charset=punycode", b"user=" + b"a" * 16_000, 415),
    "idna": (f"{FORM}; charset=idna", b"user=" + b"a." * 8000, 415),
    "punycode in parts": (f"{PARTS}; charset=punycode", part("user", "a" * 16_000) + b"--b--", 415),
    "many fields": (FORM, b"a=1&" * 4000, 400),
    "many escapes": (FORM, b"user=" + b"%41" * 5000, 400),
    "many fields of 1 MiB": (FORM, b"a=1&" * (MIB // 4), 413),
    "many parts": (PARTS, part("a", "1") * 200 + b"--b--", 400),
    "many boundaries": (PARTS, b"\r\n--b" * 2700, 400),
    "long headers": (PARTS, part("a", "1", "; x=" + "y" * 15_000) + b"--b--", 400),
    "many headers": (PARTS, b"--b\r\n" + b"X: y\r\n" * 2500 + b"\r\n1\r\n--b--", 400),
    "a file": (PARTS, part("user", "admin", '; filename="a"') + b"--b--", 400),
    "parts in parts": (PARTS, b"--b\r\nContent-Type: multipart/form-data; boundary=c\r\n\r\n--c\r\n" * 200, 400),
    "JSON": ("application/json", b"[" * 16_000, 400),
    "JSON that is long": ("application/json", b"[" * MIB, 413),
}


@pytest.mark.parametrize("name", HEAVY_FORMS)
async def test_nobody_waits_for_a_login(service: Service, name: str) -> None:
    """A login in an odd character set, of very many fields or parts, or that is too long is refused at once."""
    kind, body, status = HEAVY_FORMS[name]
    async with others(service):
        await service.api.refused(status, "POST", "/login", data=body, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        (FORM, b"user=admin&pass=correct+horse", 200),
        (f"{FORM}; charset=UTF-8", b"user=admin&pass=correct%20horse&other=", 200),
        (f"{FORM};charset=us-ascii", b"user=admin&pass=correct+horse", 200),
        (FORM, b"user=admin&pass=%ff", 400),
        (FORM, b"user=\xff&pass=a", 400),
        (FORM, b"user=%ED%A0%80&pass=a", 400),
        (PARTS, part("user", "admin") + part("pass", "correct horse") + b"--b--\r\n", 200),
        (PARTS, b"preamble\r\n" + part("user", "admin") + part("pass", "correct horse") + b"--b--", 200),
        ('multipart/form-data; boundary="b"', part("user", "admin") + part("pass", "correct horse") + b"--b--", 200),
        (PARTS, part("user", "admin") + part("pass", "correct horse"), 400),
        (PARTS, b"--b--", 200),
        ("multipart/form-data", part("user", "admin") + b"--b--", 400),
        (FORM, b"", 200),
    ],
)
async def test_forms(service: Service, admin: Api, kind: str, body: bytes, status: int) -> None:
    """A form is read as UTF-8, in either of its two ways; without fields it renews the token that came along."""
    answer = await admin.call("POST", "/login", data=body, headers={"Content-Type": kind})
    assert answer.status == status, answer.body


# --- queries ---


#: What a parameter is filled with.
ITEMS = ["1,", "a,", "-", "%C3%A4.", "displayname,", "%41", "&sort=a", "&ID=1"]


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=lambda route: route.path)
async def test_nobody_waits_for_a_long_query(service: Service, admin: Api, domain: int, route: Route) -> None:
    """The longest query there can be, of the same over and over in any parameter, holds up nobody."""
    await admin.make_user(domain, "jane")
    entries = getattr(route.handler, "__schemas__", ())
    schemas = [entry["schema"] for entry in entries if entry["location"] == "querystring"]
    names = [field.data_key or name for schema in schemas for name, field in schema.fields.items()]
    login = f"Authorization: {admin.headers['Authorization']}"
    async with others(service):
        for name in names:
            line = f"GET /api/v1{path_of(route, domain)}?{name}="
            for item in ITEMS:
                query = item * ((8100 - len(line)) // len(item))
                head = f"{line}{query} HTTP/1.1\r\nHost: x\r\n{login}\r\nConnection: close\r\n\r\n".encode()
                (answer,) = (await talk(service, head, quiet=20)).answers
                assert answer.status in (200, 400, 403, 404, 503), answer.json
