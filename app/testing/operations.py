"""Operations by their ID, and which requests a pattern of paths can mean."""

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from postroom.app.routes import BASE, ROUTES
from postroom.app.web.routing import Route
from postroom.testing.errors import HarnessError


def id_of(route: Route) -> str:
    """The operation ID that the description has for a row of the route table."""
    found: str = vars(route.handler)["__apispec__"]["operationId"]
    return found


#: (method, path of the route) -> operation ID.
OPERATIONS: Final = {(route.method, BASE + route.path): id_of(route) for route in ROUTES}
_IDS: Final = frozenset(OPERATIONS.values())


def check_operation(operation: str) -> None:
    """Raises HarnessError, which names the nearest, when there is no such operation."""
    if operation not in _IDS:
        close = difflib.get_close_matches(operation, _IDS, 1)
        hint = f"do you mean {close[0]}? All" if close else "all"
        raise HarnessError(f"There is no operation {operation!r}; {hint} are in the description, /api/v1/openapi.json")


def parts_of(path: str) -> list[str]:
    """The parts of a path, or of a pattern, below the base of the API."""
    below = path.removeprefix(BASE) if path.startswith(f"{BASE}/") else path
    return below.strip("/").split("/")


def can_be(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Whether a path, also one of the route table, matches a pattern.

    `*` is any text within a part, `**` any number of parts.
    """
    # All places of the pattern at once, part by part: trying one after the other takes for ever with several `**`.
    places = _without_any(pattern, {0})
    for part in path:
        after = {place if pattern[place] == "**" else place + 1 for place in places if _is_like(pattern, place, part)}
        places = _without_any(pattern, after)
    return len(pattern) in places


def _is_like(pattern: Sequence[str], place: int, part: str) -> bool:
    if place == len(pattern):
        return False
    return pattern[place] == "**" or part.startswith("{") or fnmatchcase(part, pattern[place])


def _without_any(pattern: Sequence[str], places: Iterable[int]) -> set[int]:
    """These places of a pattern, and those behind each `**`, which may stand for no part."""
    found: set[int] = set()
    for place in places:
        while place not in found:
            found.add(place)
            if place < len(pattern) and pattern[place] == "**":
                place += 1
    return found


def reached(operation: str | None, method: str | None, path: str | None) -> frozenset[str]:
    """The IDs of the operations that such requests can be for.

    Raises HarnessError, with what is wrong, when there are none.
    """
    if operation is not None:
        check_operation(operation)
    rows = [route for route in ROUTES if operation in (None, id_of(route))]
    found = rows if path is None else [route for route in rows if can_be(parts_of(path), parts_of(route.path))]
    if not found:
        raise HarnessError(f"path: {path} can never match: {_paths(rows, path, operation)}")
    rows, found = found, [route for route in found if method in (None, "OPTIONS", _as_routed(method, route))]
    if not found:
        what = operation or path
        methods = ", ".join(dict.fromkeys(route.method for route in rows))
        raise HarnessError(f"method: {method} can never match: {what} has {methods}")
    return frozenset(id_of(route) for route in found)


def _as_routed(method: str | None, route: Route) -> str | None:
    return "HEAD" if method == "HEAD" and route.method == "GET" else route.method


def _paths(rows: Sequence[Route], path: str | None, operation: str | None) -> str:
    paths = list(dict.fromkeys(route.path for route in rows))
    if operation is not None:
        return f"{operation} has {' and '.join(paths)}; leave one of them out"
    close = difflib.get_close_matches(str(path), paths, 1, 0)
    return f"no operation has such a path, the nearest is {close[0]}. * is one part of it, ** any number"
