"""Query parameters of the lists of users."""

import re
from typing import Any

from marshmallow import Schema, ValidationError, post_load

from postroom.schemas.addresses import stored_form
from postroom.schemas.fields import (
    ADDITION,
    CommaSeparated,
    QueryBool,
    QueryId,
    QueryInt,
    Text,
)
from postroom.schemas.pages import MOST_NAMES, MOST_TERMS, PageQuerySchema, known_fields, page_arguments
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import Kind
from postroom.schemas.values.queries import USER_MATCH_FIELDS, USER_SORT_FIELDS, Cursor, UserQuery
from postroom.schemas.values.users import LONGEST_ADDRESS

_AFTER = (
    "Only users after this ID, in the order of IDs, whether there is such a user or not. `count` stays that of all. "
    "Where more follow, the answer has `nextAfter`: the `after` of the next page. Takes neither an offset nor another "
    "order; 0 is before the first user"
)
_BEFORE = "The last users before this ID; otherwise like `after`. Where more precede, the answer has `nextBefore`"
_STATUSES = "Only users of one of these statuses: 0 normal, 1 suspended, 3 deleted, 4 shared mailbox, 5 contact"


class UserListQuerySchema(PageQuerySchema):
    """The query of a list of users; loads as a UserQuery. Unknown parameters never reach it."""

    matchFields = CommaSeparated(Text(64), most=MOST_NAMES, load_default=list)
    matchProps = CommaSeparated(Text(100), most=MOST_NAMES, load_default=list)
    filterProp = Text(4000, load_default="")
    ID = CommaSeparated(QueryInt())
    username = Text(LONGEST_ADDRESS, metadata={"description": "Only the user with this username, in any case"})
    status = CommaSeparated(QueryInt(), metadata={"description": _STATUSES})
    # Has no effect, because there are no mailing lists.
    mlist = Text(0, metadata={"description": "Leave out the users behind mailing lists; takes no value"})
    properties = CommaSeparated(
        Text(100),
        most=MOST_NAMES,
        metadata={"description": "Properties to show of each user, as the object `properties`"},
    )

    after = QueryId(metadata={"description": _AFTER, **ADDITION})
    before = QueryId(metadata={"description": _BEFORE, **ADDITION})

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> UserQuery:
        sort = _sort_keys(data["sort"])
        return UserQuery(
            **page_arguments(data),
            sort=sort,
            match_fields=frozenset(known_fields(data["matchFields"], USER_MATCH_FIELDS)),
            match_tags=_known_tags(data["matchProps"]),
            username=stored_form(data["username"]) if "username" in data else None,
            ids=data.get("ID"),
            status=data.get("status"),
            org_ids=data.get("orgID"),
            filter_tags=_property_filters(data["filterProp"]),
            property_tags=_known_tags(data["properties"]) if "properties" in data else None,
            cursor=_cursor(data, sort),
        )


class AllUsersQuerySchema(UserListQuerySchema):
    """The query of the list of all users. `orgID`: only users of these organisations; 0 for domains without one."""

    orgID = CommaSeparated(
        QueryInt(),
        metadata={"description": "Only users of these organisations, by ID; 0 for users whose domain has none"},
    )


def _known_tags(names: list[str]) -> list[int]:
    """The tags of the known properties, without duplicates."""
    found = (proptags.find(name) for name in names)
    return list(dict.fromkeys(proptag.tag for proptag in found if proptag is not None))


def _sort_keys(sort: list[tuple[str, bool]]) -> list[tuple[str | int, bool]]:
    """The sort keys that are a field or a property. A field takes precedence over a property of the same name."""
    keys: list[tuple[str | int, bool]] = []
    for name, descending in sort:
        if name in USER_SORT_FIELDS:
            keys.append((name, descending))
        else:
            keys += [(tag, descending) for tag in _known_tags([name])]
    return keys


def _cursor(data: dict[str, Any], sort: list[tuple[str | int, bool]]) -> Cursor | None:
    """`after` or `before`. Raises ValidationError when they do not fit the rest of the query."""
    name = next((name for name in ("after", "before") if name in data), None)
    if name is None:
        return None
    if "after" in data and "before" in data:
        raise ValidationError({"before": ["Cannot be given together with after."]})
    if data["offset"]:
        raise ValidationError({name: ["Cannot be given together with an offset."]})
    if sort and sort[0][0] != "ID":
        raise ValidationError({name: ["Is a position in the order of IDs: leave out sort, or sort by ID."]})
    return Cursor(data[name], is_after=name == "after")


def _property_filters(text: str) -> list[tuple[int, list[int] | list[str]]]:
    """`displaytypeex:0,7,8;otherprop:x` -> [(tag, values)]; a user must have one of the values of each property."""
    filters: list[tuple[int, list[int] | list[str]]] = []
    parts = [part for part in text.split(";") if part]
    if len(parts) > MOST_TERMS:
        raise ValidationError({"filterProp": [f"More than {MOST_TERMS} properties."]})
    for part in parts:
        name, colon, values = part.partition(":")
        if not colon or not values:
            raise ValidationError({"filterProp": ["Not of the form property:value,value;property:value."]})
        proptag = proptags.find(name)
        if proptag is None:
            # Ignoring the filter would show users whom it is meant to exclude.
            raise ValidationError({"filterProp": [f"Unknown property {name[:100]!r}."]})
        singles = values.split(",")
        if proptag.kind in (Kind.INTEGER, Kind.BOOLEAN):
            filters.append((proptag.tag, [_filter_number(proptag, single) for single in singles]))
        else:
            filters.append((proptag.tag, singles))
    return filters


def _filter_number(proptag: proptags.PropTag, text: str) -> int:
    if proptag.kind is Kind.BOOLEAN and text.lower() in ("true", "false"):
        return int(text.lower() == "true")
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise ValidationError({"filterProp": [f"{proptag.name} needs a number, not {text[:50]!r}."]})
    return int(text)


class UserDeleteQuerySchema(Schema):
    """Both parameters have no effect: outside the database there are neither files nor chat users."""

    deleteFiles = QueryBool()
    deleteChatUser = QueryBool(metadata={"description": "Has no effect: there are no chat users"})
