"""Every schema of every operation, given anything: it loads, or says in the one way why not."""

import random
from collections.abc import Callable, Iterator
from typing import Any

from marshmallow import Schema

from postroom.app.errors import InvalidError
from postroom.app.routes import ROUTES
from postroom.app.web.inputs import load
from tests.fuzz.values import TEXTS, value


def schemas() -> list[tuple[str, Schema]]:
    """(operation and place, schema) of whatever an operation takes."""
    return [
        (f"{route.method} {route.path} {entry['location']}", entry["schema"])
        for route in ROUTES
        for entry in getattr(route.handler, "__schemas__", ())
    ]


def _given(rng: random.Random, schema: Schema) -> Any:
    names = list(schema.fields)
    if not names or rng.random() < 0.1:
        return value(rng)
    return {
        name if rng.random() < 0.95 else rng.choice(TEXTS): value(rng)
        for name in rng.sample(names, rng.randint(1, min(8, len(names))))
    }


def load_anything(seed: int, count: int, step: Callable[[], None]) -> Iterator[str]:
    """Loads `count` things; yields a line for each that ended in anything but an InvalidError."""
    found = schemas()
    for number in range(count):
        rng = random.Random(f"schemas {seed} {number}")  # noqa: S311 - made to be repeated
        name, schema = found[number % len(found)]
        given = _given(rng, schema)
        try:
            load(schema, given)
        except InvalidError as error:
            if not all(isinstance(reason, str) for reason in error.errors):
                yield f"schema case {number}, {name}: a reason is no text: {error.errors!r}"
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            yield f"schema case {number}, {name}: {error!r}: {given!r}"[:400]
        step()
