"""Every field of a body refuses what the description forbids; the cases come from the description itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from postroom.app.openapi.example_calls import load
from tests.support.description import own
from tests.support.service import Api

#: A value of each JSON type, and values that are too long, too small or too large.
VALUES: list[Any] = [
    None,
    True,
    5,
    -1,
    2**63,
    1.5,
    "",
    "text",
    "a\0b",
    "a\nb",
    "x" * 40_000,
    [],
    [None],
    [[]],
    {},
    {"x": 1},
]

OPERATIONS = [operation for operation in own().operations if own().body(operation) is not None]
every_body = pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)


@pytest.fixture(autouse=True)
async def anna(admin: Api, domain: int) -> None:
    """The user in the examples below /service: for an unknown user, devices are a 404 before any other error."""
    await admin.make_user(await admin.make_domain("example.com"), "anna.schmidt")


def example(operation: tuple[str, str]) -> tuple[str, Any]:
    """(path, body) of a valid call."""
    name = own().operations[operation]["operationId"]
    found = [each for each in load() if each["operation"] == name and each["status"] < 300]
    # No server listens there, and no name is resolved.
    return found[0]["at"], json.loads(json.dumps(found[0]["body"]).replace("directory.example.com", "127.0.0.1:9"))


def fields(schema: dict[str, Any], depth: int = 0) -> Iterator[tuple[list[str | int], dict[str, Any]]]:
    """(path, schema) of each field of a body, including those in objects and in the first entry of a list."""
    schema = own().resolve(schema)
    for part in schema.get("anyOf", []):
        yield from fields(part, depth)
    if "items" in schema and depth < 3:
        yield [0], schema["items"]
        yield from (([0, *path], field) for path, field in fields(schema["items"], depth + 1))
    for name, field in schema.get("properties", {}).items():
        yield [name], field
        if depth < 3:
            yield from (([name, *path], inner) for path, inner in fields(field, depth + 1))


def put(body: Any, path: list[str | int], value: Any) -> Any:
    """A copy of the body with this value at this path."""
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        entries = body if isinstance(body, list) and body else [None]
        return [put(entries[0], rest, value), *entries[1:]]
    known = body if isinstance(body, dict) else {}
    return {**known, first: put(known.get(first), rest, value)}


@every_body
async def test_every_field_is_checked(admin: Api, domain: int, operation: tuple[str, str]) -> None:
    """A value that the schema of a field does not allow is a 400 that names the field."""
    at, right = example(operation)
    asked = 0
    for path, schema in fields(own().body(operation) or {}):
        validator = own().validator(schema, "request")
        for value in VALUES:
            if validator.is_valid(value) or (value == "" and operation[1].endswith("/ldap")):
                # In a directory's configuration, an emptied form field means "not given", whatever its type.
                continue
            answer = await admin.call(operation[0], at, put(right, path, value))
            shown = json.dumps([answer.body["message"], answer.body.get("errors", [])])
            assert answer.status == 400, (path, value, answer.body)
            # A bare array is a list of addresses, and has no name of its own.
            assert any(str(name) in shown for name in path), (path, value, answer.body)
            asked += 1
    assert asked or operation[1].endswith("/storeProps")


@every_body
async def test_unknown_fields_are_refused(admin: Api, domain: int, operation: tuple[str, str]) -> None:
    """An unknown field of a body is a 400 that names it, wherever the description forbids additional fields."""
    at, right = example(operation)
    schema = own().resolve(own().body(operation) or {})
    answer = await admin.call(operation[0], at, right | {"nosuchfield": 1} if isinstance(right, dict) else [1])
    if schema.get("additionalProperties") is False:
        assert answer.status == 400
        assert "nosuchfield" in str(answer.body["errors"])


#: (content type, encoding) of bodies with a wrong content type or another encoding.
TYPES = [
    ("text/plain", "utf-8"),
    ("application/x-www-form-urlencoded", "utf-8"),
    ("multipart/form-data; boundary=x", "utf-8"),
    ("application/xml", "utf-8"),
    ("application/json; charset=utf-16", "utf-16"),
    ("nonsense", "utf-8"),
]


@every_body
async def test_wrong_content_types(admin: Api, domain: int, operation: tuple[str, str]) -> None:
    """A valid body with a wrong Content-Type or another encoding is a 400 that says so."""
    at, right = example(operation)
    for content_type, encoding in TYPES:
        body = json.dumps(right).encode(encoding)
        reasons = await admin.refused(400, operation[0], at, data=body, headers={"Content-Type": content_type})
        assert "JSON" in reasons or "application/json" in reasons


@every_body
async def test_bodies_of_another_shape(admin: Api, domain: int, operation: tuple[str, str]) -> None:
    """A missing body, or JSON that is not the required object, is a 400 and never a 500."""
    at, _ = example(operation)
    required = own().operations[operation]["requestBody"]["required"]
    for body in (b"", b"null", b"[[]]", b"{}[]", b'"x"', b"7", b'{"a":'):
        answer = await admin.call(operation[0], at, data=body, headers={"Content-Type": "application/json"})
        # Where the body is optional, the next check is whether the target of the path exists.
        assert answer.status == 400 or (body == b"" and not required and answer.status in (200, 403, 404))
