"""What the description forbids in a body is refused, field by field: read off the description itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from postroom.app.openapi.example_calls import load
from tests.support.description import own
from tests.support.service import Api

#: Something of each kind of JSON, and of what is too long, too small, too large.
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
    """The user whom the examples below /service name: nobody's devices are a 404 before anything else."""
    await admin.make_user(await admin.make_domain("example.com"), "anna.schmidt")


def example(operation: tuple[str, str]) -> tuple[str, Any]:
    """(path, body) of a call that is right."""
    name = own().operations[operation]["operationId"]
    found = [each for each in load() if each["operation"] == name and each["status"] < 300]
    # Nobody listens there, and no name is looked up.
    return found[0]["at"], json.loads(json.dumps(found[0]["body"]).replace("directory.example.com", "127.0.0.1:9"))


def fields(schema: dict[str, Any], depth: int = 0) -> Iterator[tuple[list[str | int], dict[str, Any]]]:
    """(path, schema) of each field of a body, those of objects and of the first entry of a list as well."""
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
    """A copy of the body with this value in this place."""
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
                # In a configuration of a directory, the emptied field of a form means "not given", whatever its type.
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
    """An unknown field of a body is a 400 that names it, wherever the description forbids further ones."""
    at, right = example(operation)
    schema = own().resolve(own().body(operation) or {})
    answer = await admin.call(operation[0], at, right | {"nosuchfield": 1} if isinstance(right, dict) else [1])
    if schema.get("additionalProperties") is False:
        assert answer.status == 400
        assert "nosuchfield" in str(answer.body["errors"])


#: (content type, encoding) of bodies that say they are something else, or are.
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
    """A body that is right but says that it is something else, or is in another encoding, is a 400 about that."""
    at, right = example(operation)
    for content_type, encoding in TYPES:
        body = json.dumps(right).encode(encoding)
        reasons = await admin.refused(400, operation[0], at, data=body, headers={"Content-Type": content_type})
        assert "JSON" in reasons or "application/json" in reasons


@every_body
async def test_bodies_of_another_shape(admin: Api, domain: int, operation: tuple[str, str]) -> None:
    """No body, or JSON that is no object where one is due, is a 400, and never more than that."""
    at, _ = example(operation)
    required = own().operations[operation]["requestBody"]["required"]
    for body in (b"", b"null", b"[[]]", b"{}[]", b'"x"', b"7", b'{"a":'):
        answer = await admin.call(operation[0], at, data=body, headers={"Content-Type": "application/json"})
        # A body that may be missing goes on to look for what the path names.
        assert answer.status == 400 or (body == b"" and not required and answer.status in (200, 403, 404))
