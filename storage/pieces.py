"""Pieces of SQL that are put together to a statement."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values of its placeholders, in order."""

    text: str
    params: tuple[object, ...] = ()


def params_of(*pieces: Sql) -> tuple[object, ...]:
    """The values of some pieces, one after the other."""
    return tuple(value for piece in pieces for value in piece.params)


def marks(values: Sequence[object]) -> str:
    """Placeholders for some values."""
    return ", ".join("?" * len(values))


def among(expression: str, values: Sequence[object]) -> Sql:
    """The condition that an expression has one of these values."""
    return Sql(f"{expression} IN ({marks(values)})", tuple(values))


def together(conditions: Sequence[Sql]) -> Sql:
    """The condition that all of these hold; there must be one."""
    return Sql(" AND ".join(each.text for each in conditions), params_of(*conditions))


def union(parts: Sequence[Sql]) -> Sql:
    """SELECT of all that some SELECTs find."""
    return Sql(" UNION ALL ".join(each.text for each in parts), params_of(*parts))
