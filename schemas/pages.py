"""Queries that every list understands."""

from collections.abc import Container
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from postroom.schemas.fields import QueryInt, SortField, Text

#: The level at which all of a thing is shown.
FULL = 2

#: Most words that a search looks for, and most properties that a list is filtered by: each is a search by itself.
MOST_TERMS = 16
#: Most names of fields or properties in one parameter.
MOST_NAMES = 100


def words_of(text: str) -> list[str]:
    """The words of a `match`, each once."""
    return list(dict.fromkeys(text.split()))


def _check_words(text: str) -> None:
    if len(words_of(text)) > MOST_TERMS:
        raise ValidationError(f"More than {MOST_TERMS} words.")


class LevelQuerySchema(Schema):
    """`level`: how much of a thing is shown, 0 to 2; what is beyond is the most."""

    level = QueryInt(most=FULL)


class PageQuerySchema(Schema):
    """Which part of a list, in which order, and what has to be found in each entry."""

    level = QueryInt(most=FULL, load_default=1)
    limit = QueryInt(load_default=50)
    offset = QueryInt(load_default=0)
    # May stand in a query several times.
    sort = fields.List(SortField(), load_default=list, validate=validate.Length(max=16))
    match = Text(1000, line=False, load_default="", validate=_check_words)


def page_arguments(data: dict[str, Any]) -> dict[str, Any]:
    """What a loaded PageQuerySchema says, as the arguments that every query of storage/ has."""
    return {
        "level": data["level"],
        "limit": data["limit"],
        "offset": data["offset"],
        # Every word of a match must be found.
        "words": words_of(data["match"]),
    }


# A client of another version asks for fields that are not here, and would lose the whole list with an error: unknown
# names are passed over wherever that does not widen what is found.


def known_sort(sort: list[tuple[str, bool]], known: Container[str]) -> list[tuple[str, bool]]:
    """The sort keys whose fields are known."""
    return [(name, descending) for name, descending in sort if name in known]


def known_fields(names: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """The fields in which `match` looks: those named that are known; all of them when none is named."""
    return tuple(name for name in known if name in names) if names else known
