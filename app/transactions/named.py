"""The rules that organisations and roles have in common: there is one of an ID, and no two have one name."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from postroom.app.errors import InvalidError, NotFoundError
from postroom.storage import orgs, roles
from postroom.storage.engine import Connection


class Kind(NamedTuple):
    """What messages call it, and what storage knows of it."""

    thing: str
    exists: Callable[[Connection, int], bool]
    is_name_taken: Callable[[Connection, str, int | None], bool]


ORG: Final = Kind("organisation", orgs.is_org, orgs.is_name_taken)
ROLE: Final = Kind("role", roles.is_role, roles.is_name_taken)


def check_exists(connection: Connection, kind: Kind, number: int) -> None:
    """Raises NotFoundError when nothing has this ID."""
    if not kind.exists(connection, number):
        raise NotFoundError.of(kind.thing, number)


def check_new(connection: Connection, kind: Kind, data: Mapping[str, Any]) -> None:
    """Raises InvalidError when another one has the name."""
    _check_name(connection, kind, data, None)


def check_changes(connection: Connection, kind: Kind, number: int, data: Mapping[str, Any]) -> None:
    """Raises NotFoundError, or InvalidError when the ID would change or another one has the name."""
    check_exists(connection, kind, number)
    if data.get("ID", number) != number:
        raise InvalidError.field("ID", "Cannot be changed.")
    _check_name(connection, kind, data, number)


def _check_name(connection: Connection, kind: Kind, data: Mapping[str, Any], number: int | None) -> None:
    if "name" in data and kind.is_name_taken(connection, data["name"], number):
        raise InvalidError.field("name", f"There is another {kind.thing} called {data['name']!r}.")
