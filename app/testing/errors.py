"""What the harness says to whoever writes a test."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from marshmallow import Schema, ValidationError

from postroom.app.errors import PostroomError
from postroom.testing.places import reasons_of


class HarnessError(Exception):
    """The harness is used in a way that cannot work; the text says what is wrong and what to do instead."""


class SeedError(HarnessError):
    """A seed cannot be planted; the text names the file, the line and the entry of each reason."""


def loaded(schema: Schema, given: Mapping[str, Any] | str, what: str) -> dict[str, Any]:
    """What was given to the call `what`, as its schema loads it. Raises HarnessError."""
    try:
        found: dict[str, Any] = schema.load(given)  # type: ignore[arg-type]  # a name stands for an entry
    except ValidationError as error:
        reasons = [
            f"{'.'.join(map(str, place))}: {reason}".removeprefix(": ") for place, reason in reasons_of(error.messages)
        ]
        raise HarnessError(f"{what}: {'; '.join(reasons)}") from None
    return found


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns what the rules refuse to the call `what` into a HarnessError."""
    try:
        yield
    except PostroomError as error:
        raise HarnessError(f"{what}: {error.message}") from None


def no_snapshot(name: str, made: Sequence[str]) -> HarnessError:
    """The error for a snapshot that was never made."""
    known = f"there are {', '.join(map(repr, made))}" if made else "none was made, and reset() goes to the beginning"
    return HarnessError(f"There is no snapshot {name!r}: {known}")
