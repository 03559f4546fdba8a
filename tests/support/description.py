"""A description of an API (OpenAPI 3.0), and the check of requests and responses against it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml
from jsonschema_rs import Draft4Validator, ValidationError

from postroom.app.openapi.document import build
from postroom.app.routes import BASE, ROUTES

JSON = dict[str, Any]

REFERENCE: Final = Path(__file__).parents[1] / "data" / "reference_openapi.yaml"

METHODS: Final = ("get", "put", "post", "patch", "delete")


class Breach(NamedTuple):
    """One thing that is not as described; `where` is a path such as `/data/0/username`."""

    where: str
    what: str


class Description:
    """A description with a validator for each body, made at its first use."""

    def __init__(self, document: JSON) -> None:
        self.document = document
        self.operations: dict[tuple[str, str], JSON] = {
            (method.upper(), path): item[method]
            for path, item in document["paths"].items()
            for method in METHODS
            if method in item
        }
        self._validators: dict[tuple[str, str, str], Draft4Validator | None] = {}
        self._schemas = {direction: _plain(document["components"]["schemas"], direction) for direction in _HIDDEN}

    def resolve(self, found: JSON) -> JSON:
        """The component that a reference names; anything else unchanged."""
        while "$ref" in found:
            _, *names = found["$ref"].split("/")
            found = self.document
            for name in names:
                found = found[name]
        return found

    def answer(self, operation: tuple[str, str], status: int) -> JSON | None:
        """The operation's description of this status, or None."""
        answers = self.operations[operation]["responses"]
        return self.resolve(answers[str(status)]) if str(status) in answers else None

    def body(self, operation: tuple[str, str]) -> JSON | None:
        """The schema of the JSON that the operation takes."""
        content = self.operations[operation].get("requestBody", {}).get("content", {})
        found: JSON | None = content.get("application/json", {}).get("schema")
        return found

    def parameters(self, operation: tuple[str, str]) -> dict[str, JSON]:
        """The parameters of the operation by name."""
        found = [self.resolve(parameter) for parameter in self.operations[operation].get("parameters", [])]
        return {parameter["name"]: parameter for parameter in found}

    def answer_breaches(self, operation: tuple[str, str], status: int, body: Any) -> Iterator[Breach]:
        """The breaches in a response. A status that is not described is a breach of its own kind."""
        described = self.answer(operation, status)
        if described is None:
            yield Breach("status", f"{status} is not described")
            return
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        yield from self._breaches((*operation, str(status)), "answer", schema, body)

    def request_breaches(self, operation: tuple[str, str], body: Any) -> Iterator[Breach]:
        """The breaches in the body of a request."""
        yield from self._breaches((*operation, "body"), "request", self.body(operation), body)

    def _breaches(self, key: tuple[str, str, str], direction: str, schema: Any, value: Any) -> Iterator[Breach]:
        if key not in self._validators:
            self._validators[key] = None if schema is None else self.validator(schema, direction)
        validator = self._validators[key]
        if validator is not None:
            yield from (_breach(error) for error in validator.iter_errors(value))

    def validator(self, schema: Any, direction: str) -> Draft4Validator:
        """The validator of a schema in one direction, `answer` or `request`."""
        components = {"components": {"schemas": self._schemas[direction]}}
        return Draft4Validator({"allOf": [_plain(schema, direction)], **components})


#: The keyword that forbids a field in a direction. Clients may send back read-only fields.
_HIDDEN: Final = {"answer": "writeOnly", "request": None}


def _plain(schema: Any, direction: str) -> Any:
    """Translates a schema of OpenAPI 3.0 into JSON Schema draft 4."""
    if isinstance(schema, list):
        return [_plain(each, direction) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get(_HIDDEN[direction] or "") is True:
        return {"not": {}}
    plain = {name: _plain(value, direction) for name, value in schema.items() if name not in ("example", "default")}
    if schema.get("nullable") and isinstance(schema.get("type"), str):
        plain["type"] = [schema["type"], "null"]
    elif schema.get("nullable") and "allOf" in schema:
        # A reference that may be null: generators read it like that, although the standard strictly requires a type.
        plain = {"anyOf": [plain, {"enum": [None]}]}
    return plain


def _breach(error: ValidationError) -> Breach:
    return Breach("".join(f"/{part}" for part in error.instance_path), error.message[:500])


@cache
def reference() -> Description:
    """The public description, from which clients were generated."""
    return Description(yaml.load(REFERENCE.read_text("utf-8"), yaml.CSafeLoader))


@cache
def own() -> Description:
    """The description that postroom serves."""
    return Description(json.loads(build(BASE, ROUTES)))


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text."""
    return re.fullmatch(pattern, text) is not None
