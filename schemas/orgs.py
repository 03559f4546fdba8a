"""Requests about organisations."""

from typing import Any

from marshmallow import post_load, validate

from postroom.schemas.fields import CommaSeparated, IdRef, Input, Int, Listed, Text
from postroom.schemas.pages import MOST_NAMES, PageQuerySchema, known_fields, known_sort, page_arguments
from postroom.schemas.values.queries import ORG_MATCH_FIELDS, ORG_SORT_FIELDS, OrgQuery


class OrgPatchSchema(Input):
    """The body of PATCH /system/orgs/{ID}; `domains` replaces the organisation's list of domains (by ID)."""

    name = Text(32, validate=validate.Length(min=1))
    description = Text(128, line=False, allow_none=True)
    domains = Listed(IdRef(), validate=validate.Length(max=10_000))
    ID = Int()
    domainCount = Int()


class OrgCreateSchema(OrgPatchSchema):
    """The body of POST /system/orgs."""

    name = Text(32, required=True, validate=validate.Length(min=1))


class OrgListQuerySchema(PageQuerySchema):
    """The query of a list of organisations; loads as an OrgQuery."""

    matchFields = CommaSeparated(Text(64), most=MOST_NAMES, load_default=list)
    name = Text(32, metadata={"description": "Only the organisation with exactly this name"})
    description = Text(128, metadata={"description": "Only organisations with exactly this description"})

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> OrgQuery:
        return OrgQuery(
            **page_arguments(data),
            sort=known_sort(data["sort"], ORG_SORT_FIELDS),
            match_fields=known_fields(data["matchFields"], ORG_MATCH_FIELDS),
            equal={name: data[name] for name in ("name", "description") if name in data},
        )
