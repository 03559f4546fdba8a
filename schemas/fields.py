"""Strict field types. marshmallow's own ones accept "5" for 5 and "yes" for true."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate

#: Marks fields that the public API description lacks. Useful to generate a client from ours.
ADDITION: Final = {"x-postroom": True}

#: The integers that SQLite can store.
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

#: Also lone surrogates: an argument of a command has them for bytes that are no text.
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Input(Schema):
    """The base of all JSON bodies. It refuses unknown fields, by name (marshmallow's default)."""


class Int(fields.Integer):
    """A JSON integer of 64 bits; no "5", no 5.0, no true."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid")
        if not INT64_MIN <= value <= INT64_MAX:
            raise self.make_error("too_large")
        return value


def _check_length(field: fields.Field[Any], value: Any) -> None:
    """Runs a field's length validators. Raises ValidationError.

    marshmallow runs them last, after it has loaded all items of a list.
    """
    for validator in field.validators:
        if isinstance(validator, validate.Length):
            validator(value)


class Listed(fields.List[Any]):
    """A JSON array. Checks its length before its items, so that a very long one costs no time."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        if isinstance(value, list):
            _check_length(self, value)
        loaded: list[Any] = super()._deserialize(value, attr, data, **kwargs)
        return loaded


class Short(fields.String):
    """A JSON string. Checks its length first, so that the other validators never see a longer one."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        _check_length(self, text)
        return text


class Mapped(fields.Dict):
    """A JSON object with any names. Checks its length before its items."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if isinstance(value, dict):
            _check_length(self, value)
        loaded: dict[Any, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        return loaded


class IdRef(fields.Field[int]):
    """An ID, or an object with one as in responses: clients send lists back as they read them."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        return parse_id(value.get("ID") if isinstance(value, dict) else value)


def parse_id(value: Any) -> int:
    """A JSON integer that could be an ID. Raises ValidationError."""
    found: int = Int().deserialize(value)
    if found < 0:
        raise ValidationError("Not an ID: those are not negative.")
    return found


class Bool(fields.Boolean):
    """JSON true or false; no 1, no "true"."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Text(fields.String):
    """A JSON string of at most `max_length` characters without NUL; with `line`, of one line."""

    def __init__(self, max_length: int, *, line: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"maxLength": max_length, **self.metadata}
        self.max_length = max_length
        self.line = line

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if len(text) > self.max_length:
            raise ValidationError(f"Longer than {self.max_length} characters.")
        if "\0" in text:
            raise ValidationError("Must not hold a NUL character.")
        # A line break would forge a second line wherever the text ends up: a header, a configuration file, a log.
        if self.line and _CONTROL.search(text):
            raise ValidationError("Must be one line of text without control characters.")
        return text


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", re.ASCII)


def check_date(text: str) -> None:
    """Raises ValidationError unless the text is an existing date, as YYYY-MM-DD."""
    _check(text, _DATE, date.fromisoformat, "Not a date of the form YYYY-MM-DD.")


def check_time(text: str) -> None:
    """Raises ValidationError unless the text is an existing date and time, as YYYY-MM-DD HH:MM:SS."""
    _check(text, _TIME, datetime.fromisoformat, "Not a time of the form YYYY-MM-DD HH:MM:SS.")


def _check(text: str, form: re.Pattern[str], parse: Any, message: str) -> None:
    if not form.fullmatch(text):
        raise ValidationError(message)
    try:
        parse(text)
    except ValueError:
        raise ValidationError(message) from None


class CommaSeparated(fields.Field[list[Any]]):
    """A query parameter with a list of at most `most` values: `1,2,3`. An empty text is an empty list."""

    def __init__(self, inner: fields.Field[Any], *, most: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = inner
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        parts = [part.strip() for part in str(value).split(",")]
        values = [part for part in parts if part]
        if len(values) > self.most:
            raise ValidationError(f"More than {self.most} values.")
        return [self.inner.deserialize(each) for each in values]


class QueryInt(fields.Field[int]):
    """An integer in a query string. A value above `most` (by default 64 bits) becomes `most`: it means "no limit"."""

    def __init__(self, *, minimum: int = 0, most: int = INT64_MAX, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"minimum": minimum, **self.metadata}
        self.minimum = minimum
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        text = str(value)
        if not re.fullmatch(r"-?\d{1,100}", text, re.ASCII):
            raise ValidationError("Not a whole number.")
        number = min(int(text), self.most)
        if number < self.minimum:
            raise ValidationError(f"Must not be less than {self.minimum}.")
        return number


class QueryId(fields.Field[int]):
    """An ID in a query string. A larger number than an ID can be is an error."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        text = str(value)
        if not re.fullmatch(r"\d{1,19}", text, re.ASCII) or int(text) > INT64_MAX:
            raise ValidationError(f"Not an ID: those are whole numbers from 0 to {INT64_MAX}.")
        return int(text)


class QueryBool(fields.Boolean):
    """true or false in a query string; a name without a value (`?force`) means true."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        return True if value == "" else bool(super()._deserialize(value, attr, data, **kwargs))


class SortField(fields.Field[tuple[str, bool]]):
    """`field` or `field,asc` or `field,desc` -> (field, descending)."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, bool]:
        name, _, direction = str(value).partition(",")
        if direction not in ("", "asc", "desc"):
            raise ValidationError(f"Unknown direction {direction[:20]!r}: use asc or desc.")
        return name, direction == "desc"
