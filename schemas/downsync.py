"""Queries of the operations that deal with the directory."""

import math
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from postroom.schemas.fields import QueryBool, QueryInt, Text

#: What `ID` stands for where an object is named.
_OBJECT = "The object of the directory, written as in `ldapID`"

#: Longest that a request waits for the end of a task, in seconds.
LONGEST_WAIT = 300.0


class ForceQuerySchema(Schema):
    """`force`: store a configuration even when its test fails."""

    force = QueryBool(load_default=False, metadata={"description": "Store the configuration without testing it"})


class DownsyncQuerySchema(Schema):
    """`ID`: the object to link the user to, as in `ldapID`; `lang`: the language of a user who has none."""

    ID = Text(4096, metadata={"description": "The object to link the user to first, written as in `ldapID`"})
    lang = Text(32, load_default="")


class WhereQuerySchema(Schema):
    """`domain` or else `organization` narrow an operation down to their users; without, it is about everyone.

    `organization` 0 stands for the domains without an organisation.
    """

    domain = QueryInt(load_default=None, allow_none=True)
    organization = QueryInt(load_default=None, allow_none=True)


class SearchQuerySchema(WhereQuerySchema):
    """`query`: what to look for; `showAll`: also who cannot be imported."""

    query = Text(
        256,
        required=True,
        validate=validate.Length(min=3, error="Must have at least 3 characters."),
        metadata={"description": "What to look for: part of a name, an address or another search attribute"},
    )
    limit = QueryInt(load_default=50, metadata={"description": "How many people to show at most"})
    showAll = QueryBool(
        load_default=False, metadata={"description": "Also show people who cannot be imported, with the reason"}
    )


class ImportQuerySchema(WhereQuerySchema):
    """`ID`: the object; `force`: also link a user of that name who is not linked to it."""

    ID = Text(4096, required=True, validate=validate.Length(min=1), metadata={"description": _OBJECT})
    force = QueryBool(
        load_default=False,
        metadata={"description": "Link a user who has the name already and is not linked to the object"},
    )
    lang = Text(32, load_default="")


class DumpQuerySchema(WhereQuerySchema):
    """`ID`: the object."""

    ID = Text(4096, required=True, validate=validate.Length(min=1), metadata={"description": _OBJECT})


class OrphansQuerySchema(WhereQuerySchema):
    """`userID`: remove this one alone; `force`: however many they are."""

    userID = QueryInt(metadata={"description": "Delete this user alone"})
    # There are no files of users: accepted, because clients send it.
    deleteFiles = QueryBool(load_default=False)
    force = QueryBool(load_default=False, metadata={"description": "Delete them however many they are"})


class Seconds(fields.Field[float]):
    """A number of seconds in a query string; beyond the longest wait it is cut to that."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            raise ValidationError("Not a number of seconds.") from None
        if math.isnan(seconds) or seconds < 0:
            raise ValidationError("Not a number of seconds.")
        return min(seconds, LONGEST_WAIT)


class BulkQuerySchema(Schema):
    """How many users are brought up to date. `import`: entries that are nobody's become users."""

    create = QueryBool(
        load_default=False,
        data_key="import",
        metadata={"description": "Also make users of entries that no user is linked to"},
    )
    lang = Text(32, load_default="")
    timeout = Seconds(
        load_default=1.0,
        metadata={"description": "Seconds to wait for the end, at most 300; then the update goes on as a task"},
    )
    dryRun = QueryBool(load_default=False, metadata={"description": "Answer what would be done, and change nothing"})
    unlink = QueryBool(
        load_default=False, metadata={"description": "Unlink the users whose object is gone from the directory"}
    )
    force = QueryBool(load_default=False, metadata={"description": "With `unlink`: unlink them however many they are"})
