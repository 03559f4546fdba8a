"""A description of an API (OpenAPI 3.0), and what requests and responses have that it does not allow.

Needs jsonschema-rs, from the extra `testing`.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from jsonschema_rs import Draft4Validator, ValidationError

from postroom.testing.bodies import FORM_TYPE, JSON_TYPE

JSON = dict[str, Any]

METHODS: Final = ("get", "put", "post", "patch", "delete")


class Breach(NamedTuple):
    """One thing that is not as described; `where` is a path such as `/data/0/username`, `value` what is there."""

    where: str
    what: str
    value: Any = None


class Description:
    """A description with a validator for each body, made at its first use. `mask` stands for values in messages."""

    def __init__(self, document: JSON, mask: str | None = None) -> None:
        self.document = document
        self._mask = mask
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
        return self._taken(operation, JSON_TYPE)

    def _taken(self, operation: tuple[str, str], media_type: str) -> JSON | None:
        content = self.operations[operation].get("requestBody", {}).get("content", {})
        found: JSON | None = content.get(media_type, {}).get("schema")
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
        schema = described.get("content", {}).get(JSON_TYPE, {}).get("schema")
        yield from self._breaches((*operation, str(status)), "answer", schema, body)

    def body_breaches(self, operation: tuple[str, str], body: Any) -> Iterator[Breach]:
        """The breaches in the body of a request, be it JSON or a form."""
        schema = self.body(operation) or self._taken(operation, FORM_TYPE)
        yield from self._breaches((*operation, "body"), "request", schema, body)

    def parameter_breaches(self, operation: tuple[str, str], place: str, values: JSON) -> Iterator[Breach]:
        """The breaches in the parameters of a request in one place, `query` or `path`."""
        described = [each for each in self.parameters(operation).values() if each["in"] == place]
        schema: JSON = {
            "type": "object",
            "properties": {each["name"]: _of_parameter(each) for each in described},
            "additionalProperties": False,
        }
        required = [each["name"] for each in described if each.get("required")]
        if required:
            schema["required"] = required
        yield from self._breaches((*operation, place), "request", schema, values)

    def _breaches(self, key: tuple[str, str, str], direction: str, schema: Any, value: Any) -> Iterator[Breach]:
        if key not in self._validators:
            self._validators[key] = None if schema is None else self.validator(schema, direction)
        validator = self._validators[key]
        if validator is not None:
            yield from (_breach(error) for error in validator.iter_errors(value))

    def validator(self, schema: Any, direction: str) -> Draft4Validator:
        """The validator of a schema in one direction, `answer` or `request`."""
        components = {"components": {"schemas": self._schemas[direction]}}
        return Draft4Validator({"allOf": [_plain(schema, direction)], **components}, mask=self._mask)


def _of_parameter(parameter: JSON) -> JSON:
    schema: JSON = parameter["schema"]
    return {"anyOf": [schema, {"enum": [""]}]} if parameter.get("allowEmptyValue") else schema


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
    return Breach("".join(f"/{part}" for part in error.instance_path), error.message[:500], error.instance)
