"""A fault of a server of a test, as one document: which requests it strikes, how often, and what it does to them."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates_schema

from postroom.schemas.fields import Bool, Input, Int, Mapped, Text

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
#: What happens to a request. Of these a fault has one, beside a delay.
KINDS: Final = ("status", "cut", "broken", "directory", "login")
#: Seconds of the longest delay.
LONGEST_DELAY: Final = 3600
_MOST: Final = 1_000_000
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
#: Fields that say more about another one.
_BELONG: Final = {
    "body": ("status",), "headers": ("status",), "reset": ("cut",), "when": ("status", "delay"),
}  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


class Number(fields.Float):
    """A JSON number; no "0.5", no true."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float:
        if not _is_number(value):
            raise ValidationError("Not a number.")
        return float(value)


class Delay(fields.Field[Any]):
    """Seconds, or a distribution of them: {"uniform": [least, most]} or {"lognormal": [median, sigma]}."""

    _NEITHER = 'Neither seconds nor a distribution, such as {"uniform": [0.1, 0.5]} or {"lognormal": [0.2, 0.5]}.'

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if _is_number(value):
            self._check(value > 0, value)
            return value
        if not isinstance(value, dict) or len(value) != 1:
            raise ValidationError(self._NEITHER)
        ((name, numbers),) = value.items()
        if not isinstance(numbers, list | tuple) or [_is_number(number) for number in numbers] != [True, True]:
            raise ValidationError(self._NEITHER)
        first, second = numbers
        if name == "uniform":
            self._check(0 <= first <= second > 0, second)
        elif name == "lognormal":
            self._check(first > 0 <= second, first)
        else:
            raise ValidationError(self._NEITHER)
        return {name: [first, second]}

    def _check(self, is_right: bool, largest: float) -> None:
        if not is_right or largest > LONGEST_DELAY:
            raise ValidationError(f"Must be above 0, at most {LONGEST_DELAY} s, and in this order.")


def _distribution(name: str) -> dict[str, Any]:
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return {"type": "object", "required": [name], "properties": {name: numbers}, "additionalProperties": False}


def _check_path(path: str) -> None:
    if not path.startswith("/") or "?" in path:
        raise ValidationError("Must begin with / and have no query, as in /domains/*/users.")


def _check_header(name: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise ValidationError("Not the name of a header.")


class FaultSchema(Input):
    """A fault. Without operation, method and path it strikes all requests; without times, until it is removed."""

    operation = Text(100, metadata={"description": "The operation ID of the requests that it strikes"})
    method = Text(10, validate=validate.OneOf(METHODS))
    path = Text(
        1000,
        validate=_check_path,
        metadata={"description": "Their path, where `*` is one part and `**` any number of parts"},
    )
    times = Int(
        validate=validate.Range(1, _MOST, error="Must be 1 or more; without it, there is no end."),
        metadata={"description": "How many requests it strikes; without it, all"},
    )
    skip = Int(validate=validate.Range(0, _MOST), metadata={"description": "How many it lets pass before"})
    probability = Number(
        validate=validate.Range(0, 1, min_inclusive=False, error="Must be above 0 and at most 1, where 1 is always."),
        metadata={"description": "With which it strikes; without it, always"},
    )
    seed = Int(metadata={"description": "Of the generator for its probability and its delays; its ID without it"})
    delay = Delay(
        metadata={
            "description": "Real seconds, or a distribution of them. Goes with every other fault",
            "oneOf": [{"type": "number"}, *(_distribution(name) for name in ("uniform", "lognormal"))],
        }
    )
    when = Text(
        10,
        validate=validate.OneOf(["before", "after"]),
        metadata={"description": "Whether it waits or answers before the request is done (as without it), or after"},
    )
    status = Int(
        validate=validate.Range(200, 599, error="Must be 200 to 599."),
        metadata={"description": "Of the answer in place of the real one"},
    )
    body = fields.Raw(allow_none=True, metadata={"description": "Of that answer: JSON, or text as it is"})
    headers = Mapped(keys=Text(100, validate=_check_header), values=Text(1000))
    cut = Text(
        10,
        validate=validate.OneOf(["before", "middle", "after"]),
        metadata={
            "description": "Ends the connection: before the request is done, in the middle of the answer, or after the "
            "request is done, without an answer"
        },
    )
    reset = Bool(metadata={"description": "Resets the connection in place of closing it"})
    broken = Text(
        10,
        validate=validate.OneOf(["truncated", "garbled", "empty"]),
        metadata={"description": "What the body of the real answer becomes"},
    )
    directory = Text(
        10,
        validate=validate.OneOf(["away"]),
        metadata={"description": "No directory can be asked; strikes requests that ask one"},
    )
    login = Text(
        10,
        validate=validate.OneOf(["expired"]),
        metadata={"description": "Ends the login that the request has; strikes requests with one"},
    )

    error_messages = {  # noqa: RUF012 - as marshmallow declares it
        "unknown": "Unknown field. A fault has operation, method, path, times, skip, probability and seed; delay and "
        "when; status, body and headers; cut and reset; broken; directory; login.",
        "type": 'A fault is an object, such as {"status": 503, "times": 2}.',
    }

    @validates_schema
    def _is_one_fault(self, data: dict[str, Any], **_: Any) -> None:
        given = [name for name in KINDS if name in data]
        if not given and "delay" not in data:
            raise ValidationError(f"Says nothing of what happens: give delay or one of {', '.join(KINDS)}.")
        if len(given) > 1:
            raise ValidationError(f"Only one of {' and '.join(given)} can happen to a request: make a fault of each.")
        for name, others in _BELONG.items():
            if name in data and not any(other in data for other in others):
                raise ValidationError(f"Needs {' or '.join(others)} beside it.", name)
        if data.get("when") == "after" and given and given != ["status"]:
            raise ValidationError(f"{given[0]} has its own moment: leave it out.", "when")


class ArmedFaultSchema(FaultSchema):
    """A fault that is armed."""

    ID = Int()
    struck = Int(metadata={"description": "How many requests it has struck"})
