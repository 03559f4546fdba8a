"""Requests about roles. The transaction checks whether the domains and organisations of permissions exist."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from postroom.schemas.fields import CommaSeparated, IdRef, Input, Int, Listed, QueryInt, Text, parse_id
from postroom.schemas.pages import MOST_NAMES, PageQuerySchema, known_fields, known_sort, page_arguments
from postroom.schemas.values.queries import ROLE_MATCH_FIELDS, ROLE_SORT_FIELDS, RoleQuery
from postroom.schemas.values.roles import LONGEST_DESCRIPTION, LONGEST_NAME

#: The target of a permission for all domains, or all organisations.
EVERYTHING = "*"


class PermissionTarget(fields.Field[int | str | None]):
    """The target of a permission: the ID of a domain or an organisation, "*" for all of them, or null."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int | str | None:
        if value == EVERYTHING:
            return EVERYTHING
        # A web client sends this for an empty field.
        if value == "":
            return None
        if type(value) is not int:
            raise ValidationError('Not an ID, nor "*" for all.')
        return parse_id(value)


class PermissionSchema(Input):
    """A permission in a request. `ID` is accepted only because clients send it back."""

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
    """The body of PATCH users/{ID}/roles: the complete list of the user's roles."""

    roles = Listed(IdRef(), validate=validate.Length(max=1000))


class RoleListQuerySchema(PageQuerySchema):
    """The query of a list of roles; loads as a RoleQuery. By default without a limit, because clients do not page."""

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
