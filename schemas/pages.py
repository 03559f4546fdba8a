"""Query parameters of all lists."""

from collections.abc import Container
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from postroom.schemas.fields import QueryInt, SortField, Text

#: The level that shows all fields.
FULL = 2

#: Most words in a search, and most properties in a filter. Each is a search by itself.
MOST_TERMS = 16
#: Most names of fields or properties in one parameter.
MOST_NAMES = 100


def words_of(text: str) -> list[str]:
    """The words of a `match`, without duplicates."""
    return list(dict.fromkeys(text.split()))


def _check_words(text: str) -> None:
    if len(words_of(text)) > MOST_TERMS:
        raise ValidationError(f"More than {MOST_TERMS} words.")


class LevelQuerySchema(Schema):
    """`level`: how many fields to show, 0 to 2. A higher level means 2."""

    level = QueryInt(most=FULL)


class PageQuerySchema(Schema):
    """Which part of a list to show, in which order, and what to search for."""

    level = QueryInt(most=FULL, load_default=1)
    limit = QueryInt(load_default=50)
    offset = QueryInt(load_default=0)
    # A query may contain it several times.
    sort = fields.List(SortField(), load_default=list, validate=validate.Length(max=16))
    match = Text(1000, line=False, load_default="", validate=_check_words)


def page_arguments(data: dict[str, Any]) -> dict[str, Any]:
    """A loaded PageQuerySchema as the arguments that all queries of storage/ share."""
    return {
        "level": data["level"],
        "limit": data["limit"],
        "offset": data["offset"],
        # Every word of a match must be found.
        "words": words_of(data["match"]),
    }


# A client of another version may name unknown fields, and an error would cost it the whole list. So unknown names are
# ignored wherever that does not widen the result.


def known_sort(sort: list[tuple[str, bool]], known: Container[str]) -> list[tuple[str, bool]]:
    """The sort keys whose fields are known."""
    return [(name, descending) for name, descending in sort if name in known]


def known_fields(names: list[str], known: tuple[str, ...]) -> tuple[str, ...]:
    """The fields that `match` searches: the named ones that are known, or all if none is named."""
    return tuple(name for name in known if name in names) if names else known
