"""Organisations as they come in."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from postroom.schemas.fields import CommaSeparated, Input, Int, Text
from postroom.schemas.pages import PageQuerySchema, check_sort, page_arguments
from postroom.storage.orgs import MATCH_FIELDS, SORT_FIELDS, OrgQuery


class OrgPatchSchema(Input):
    """The body of PATCH /system/orgs/{ID}; `domains` replaces the list of domains (by ID) that belong to it."""

    name = Text(32, validate=validate.Length(min=1))
    description = Text(128, line=False, allow_none=True)
    # Clients send the list back as they read it: objects with an ID count like IDs.
    domains = fields.List(fields.Raw(), validate=validate.Length(max=10_000))
    ID = fields.Raw()
    domainCount = fields.Raw()

    @post_load
    def _domains(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "domains" in data:
            entries = [entry.get("ID") if isinstance(entry, dict) else entry for entry in data["domains"]]
            try:
                data["domains"] = [Int().deserialize(entry) for entry in entries]
            except ValidationError as error:
                raise ValidationError({"domains": error.messages}) from None
        return data


class OrgCreateSchema(OrgPatchSchema):
    """The body of POST /system/orgs."""

    name = Text(32, required=True, validate=validate.Length(min=1))


class OrgListQuerySchema(PageQuerySchema):
    """The query of a list of organisations; loads as an OrgQuery."""

    matchFields = CommaSeparated(Text(64, validate=validate.OneOf(MATCH_FIELDS)), load_default=list)
    name = Text(32)
    description = Text(128)

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> OrgQuery:
        return OrgQuery(
            **page_arguments(data),
            sort=check_sort(data["sort"], SORT_FIELDS),
            match_fields=data["matchFields"] or MATCH_FIELDS,
            equal={name: data[name] for name in ("name", "description") if name in data},
        )
