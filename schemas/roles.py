"""Roles as they come in. Whether what a permission is about exists, the service knows."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from postroom.schemas.fields import CommaSeparated, IdRef, Input, Int, Listed, QueryInt, Text, parse_id
from postroom.schemas.pages import MOST_NAMES, PageQuerySchema, known_fields, known_sort, page_arguments
from postroom.schemas.values.queries import ROLE_MATCH_FIELDS, ROLE_SORT_FIELDS, RoleQuery
from postroom.schemas.values.roles import LONGEST_DESCRIPTION, LONGEST_NAME

#: About all domains, or all organisations.
EVERYTHING = "*"


class PermissionTarget(fields.Field[int | str | None]):
    """What a permission is about: the ID of a domain or an organisation, "*" for all of them, or null."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int | str | None:
        if value == EVERYTHING:
            return EVERYTHING
        # What a web client sends of a field that nobody filled in.
        if value == "":
            return None
        if type(value) is not int:
            raise ValidationError('Not an ID, nor "*" for all.')
        return parse_id(value)


class PermissionSchema(Input):
    """A permission as it comes in; `ID` is taken only because clients send it back."""

    ID = Int()
    permission = Text(64, required=True)
    params = PermissionTarget(allow_none=True, load_default=None)


class RolePatchSchema(Input):
    """The body of PATCH /system/roles/{ID}; `permissions` and `users` replace the lists as a whole."""

    name = Text(LONGEST_NAME, validate=validate.Length(min=1))
    description = Text(LONGEST_DESCRIPTION, line=False, allow_none=True)
    permissions = Listed(fields.Nested(PermissionSchema), validate=validate.Length(max=1000))
    users = Listed(IdRef(), validate=validate.Length(max=10_000))
    ID = Int()


class RoleCreateSchema(RolePatchSchema):
    """The body of POST /system/roles."""

    name = Text(LONGEST_NAME, required=True, validate=validate.Length(min=1))


class UserRolesSchema(Input):
    """The body of PATCH users/{ID}/roles: all roles that the user is to have."""

    roles = Listed(IdRef(), validate=validate.Length(max=1000))


class RoleListQuerySchema(PageQuerySchema):
    """The query of a list of roles; loads as a RoleQuery. Without a limit all are meant: clients do not page here."""

    limit = QueryInt(metadata={"description": "How many roles to show at most; all of them without it"})
    matchFields = CommaSeparated(Text(64), most=MOST_NAMES, load_default=list)
    ID = CommaSeparated(QueryInt())
    name = Text(LONGEST_NAME, metadata={"description": "Only the role with exactly this name"})
    description = Text(LONGEST_DESCRIPTION, metadata={"description": "Only roles with exactly this description"})

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> RoleQuery:
        return RoleQuery(
            **page_arguments({"limit": None, **data}),
            sort=known_sort(data["sort"], ROLE_SORT_FIELDS),
            match_fields=known_fields(data["matchFields"], ROLE_MATCH_FIELDS),
            ids=data.get("ID"),
            equal={name: data[name] for name in ROLE_MATCH_FIELDS if name in data},
        )
