"""The query of the record of changes."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from postroom.schemas.addresses import stored_form
from postroom.schemas.fields import QueryId, QueryInt, Text
from postroom.schemas.values.audit import KINDS, LAST_ID, MEANS, AuditQuery
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Most rows of a response that is one JSON document.
MOST_ROWS: Final = 1000


class Moment(fields.Field[datetime]):
    """A date or a time in ISO 8601. Without an offset it is in the configured time zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        try:
            # A plus sign of an offset arrives as a space in most queries.
            return datetime.fromisoformat(str(value).replace(" ", "+") if "T" in str(value) else str(value))
        except ValueError:
            raise ValidationError("Not a date or time such as 2026-11-30 or 2026-11-30T14:00:00+01:00.") from None


class AuditQuerySchema(Schema):
    """Which rows to show; without parameters, the latest. `read_query` makes an AuditQuery of it."""

    startTime = Moment(metadata={"description": "Only from this time on, as in ISO 8601", "type": "string"})
    endTime = Moment(metadata={"description": "Only before this time", "type": "string"})
    actor = Text(LONGEST_ADDRESS, metadata={"description": "Only what this user has changed: the ID, or the username"})
    means = fields.String(validate=validate.OneOf(MEANS), metadata={"description": "Only by this means"})
    operation = Text(100, metadata={"description": "Only by this operation, such as `patchUser`"})
    kind = fields.String(validate=validate.OneOf(KINDS), metadata={"description": "Only objects of this kind"})
    objectID = QueryId(
        metadata={"description": "Only the object with this ID, of the `kind` that has to be given, too"}
    )
    name = Text(LONGEST_ADDRESS, metadata={"description": "Only objects that have this name now, or had it"})
    domainID = QueryId(metadata={"description": "Only what belongs to this domain"})
    requestID = Text(100, metadata={"description": "Only what this request has changed"})
    limit = QueryInt(
        metadata={"description": f"Most rows [50, at most {MOST_ROWS}]; with NDJSON any number, and without it all"}
    )
    after = QueryId(metadata={"description": "Only rows that come after this one, by its ID: older ones"})
    before = QueryId(metadata={"description": "The nearest rows that come before this one: newer ones"})

    @validates_schema
    def _check(self, data: dict[str, Any], **_: Any) -> None:
        if "objectID" in data and "kind" not in data:
            raise ValidationError("Needs a kind, too.", "objectID")
        if "after" in data and "before" in data:
            raise ValidationError("Only one of after and before can be given.", "before")


def read_query(data: Mapping[str, Any], timezone: tzinfo, limit: int) -> AuditQuery:
    """The query, with the limit that counts."""
    actor = data.get("actor")
    first = microseconds(data["startTime"], timezone) if "startTime" in data else 0
    last = microseconds(data["endTime"], timezone) - 1 if "endTime" in data else LAST_ID
    return AuditQuery(
        first=max(first, min(data.get("before", -1), LAST_ID - 1) + 1),
        last=min(last, data.get("after", LAST_ID) - 1),
        actor=int(actor)
        if actor and actor.isascii() and actor.isdigit() and len(actor) < 19
        else actor and stored_form(actor),
        means=data.get("means"),
        operation=data.get("operation"),
        kind=data.get("kind"),
        object_id=data.get("objectID"),
        name=data.get("name"),
        address=stored_form(data["name"]) if "name" in data else None,
        domain_id=data.get("domainID"),
        request_id=data.get("requestID"),
        limit=limit,
        from_first="before" in data,
    )


def microseconds(moment: datetime, timezone: tzinfo) -> int:
    """The UNIX time of a moment, in whole microseconds."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
