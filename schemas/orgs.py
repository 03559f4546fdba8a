"""Organisations as they come in."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from postroom.schemas.fields import CommaSeparated, Input, Int, QueryInt, SortField, Text
from postroom.schemas.users import words
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


class OrgListQuerySchema(Schema):
    """The query of a list of organisations; loads as an OrgQuery."""

    level = QueryInt(load_default=1)
    limit = QueryInt(load_default=50)
    offset = QueryInt(load_default=0)
    sort = fields.List(SortField(), load_default=list, validate=validate.Length(max=16))
    match = Text(1000, line=False, load_default="")
    matchFields = CommaSeparated(Text(64, validate=validate.OneOf(MATCH_FIELDS)), load_default=list)
    name = Text(32)
    description = Text(128)

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> OrgQuery:
        for name, _descending in data["sort"]:
            if name not in SORT_FIELDS:
                raise ValidationError({"sort": [f"Unknown field {name[:64]!r}."]})
        return OrgQuery(
            level=min(data["level"], 2),
            limit=data["limit"],
            offset=data["offset"],
            sort=data["sort"],
            words=words(data["match"]),
            match_fields=data["matchFields"] or MATCH_FIELDS,
            equal={name: data[name] for name in ("name", "description") if name in data},
        )
