"""Lists in queries, of every operation that takes one."""

from collections.abc import Iterator

import pytest
from aiohttp.test_utils import make_mocked_request
from marshmallow import Schema, validate

from postroom.app.routes import ROUTES
from postroom.app.web.inputs import query_loader
from postroom.schemas.fields import CommaSeparated, QueryInt


def lists() -> Iterator[tuple[str, Schema, str, CommaSeparated]]:
    """(operation, schema of its query, parameter, field) for each list with commas."""
    for route in ROUTES:
        for entry in vars(route.handler)["__apispec__"]["schemas"]:
            if entry["location"] == "querystring":
                for name, field in entry["schema"].fields.items():
                    if isinstance(field, CommaSeparated):
                        yield f"{route.method} {route.path}", entry["schema"], name, field


#: Two fields in which each list looks; what it does not know it passes over.
MATCH_FIELDS = {
    "postroom.schemas.user_queries": ("username", "aliases"),
    "postroom.schemas.domains": ("domainname", "title"),
    "postroom.schemas.orgs": ("name", "description"),
    "postroom.schemas.roles": ("name", "description"),
    "postroom.schemas.tasks": ("command", "message"),
}


def values(schema: Schema, name: str, field: CommaSeparated) -> tuple[str, str]:
    """Two values that the field takes."""
    if isinstance(field.inner, QueryInt):
        return "1", "2"
    for check in field.inner.validators:
        if isinstance(check, validate.OneOf):
            first, second, *_ = check.choices
            return str(first), str(second)
    return MATCH_FIELDS[type(schema).__module__] if name == "matchFields" else ("displayname", "title")


@pytest.mark.parametrize(
    ("schema", "name", "field"), [each[1:] for each in lists()], ids=[f"{each[0]} {each[2]}" for each in lists()]
)
def test_name_may_be_repeated(schema: Schema, name: str, field: CommaSeparated) -> None:
    """`?a=1&a=2` is `?a=1,2`, not one of the two: clients that are not told how a list is written repeat the name."""
    first, second = values(schema, name, field)
    load = query_loader(schema)
    repeated, joined, one = (
        load(make_mocked_request("GET", f"/?{query}"))
        for query in (f"{name}={first}&{name}={second}", f"{name}={first},{second}", f"{name}={first}")
    )
    assert repeated == joined != one
