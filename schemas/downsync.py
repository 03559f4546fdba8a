"""Query parameters of the operations on the directory."""

import math
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from postroom.schemas.fields import QueryBool, QueryInt, Text

#: Description of a parameter `ID` that names an object.
_OBJECT = "The object of the directory, written as in `ldapID`"

#: Longest time that a request waits for a task, in seconds.
LONGEST_WAIT = 300.0


class ForceQuerySchema(Schema):
    """`force`: store the configuration without testing it."""

    force = QueryBool(load_default=False, metadata={"description": "Store the configuration without testing it"})


class DownsyncQuerySchema(Schema):
    """`ID`: the object to link the user to, written as in `ldapID`; `lang`: the language of a user who has none."""

    ID = Text(4096, metadata={"description": "The object to link the user to first, written as in `ldapID`"})
    lang = Text(32, load_default="")


class WhereQuerySchema(Schema):
    """`domain` or `organization` restricts an operation to their users; by default it applies to all users.

    `organization` 0 means the domains without an organisation.
    """

    domain = QueryInt(load_default=None, allow_none=True)
    organization = QueryInt(load_default=None, allow_none=True)


class SearchQuerySchema(WhereQuerySchema):
    """`query`: the text to search for; `showAll`: also show people who cannot be imported."""

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
    """`ID`: the object; `force`: also link an existing user of that name who is not linked to it."""

    ID = Text(4096, required=True, validate=validate.Length(min=1), metadata={"description": _OBJECT})
    force = QueryBool(
        load_default=False,
        metadata={"description": "Link an existing user of that name who is not linked to the object"},
    )
    lang = Text(32, load_default="")


class DumpQuerySchema(WhereQuerySchema):
    """`ID`: the object."""

    ID = Text(4096, required=True, validate=validate.Length(min=1), metadata={"description": _OBJECT})


class OrphansQuerySchema(WhereQuerySchema):
    """`userID`: delete only this user; `force`: delete them however many they are."""

    userID = QueryInt(metadata={"description": "Delete only this user"})
    # Users have no files. Accepted because clients send it.
    deleteFiles = QueryBool(load_default=False)
    force = QueryBool(load_default=False, metadata={"description": "Delete them however many they are"})


class Seconds(fields.Field[float]):
    """A number of seconds in a query string, limited to the longest wait."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float:
        try:
            seconds = float(str(value))
        except ValueError:
            raise ValidationError("Not a number of seconds.") from None
        if math.isnan(seconds) or seconds < 0:
            raise ValidationError("Not a number of seconds.")
        return min(seconds, LONGEST_WAIT)


class BulkQuerySchema(Schema):
    """Options for updating many users. `import`: also create users for unlinked entries."""

    create = QueryBool(
        load_default=False,
        data_key="import",
        metadata={"description": "Also create users for entries that no user is linked to"},
    )
    lang = Text(32, load_default="")
    timeout = Seconds(
        load_default=1.0,
        metadata={"description": "Seconds to wait for the end, at most 300; after that the update goes on as a task"},
    )
    dryRun = QueryBool(load_default=False, metadata={"description": "Only report what would be done; change nothing"})
    unlink = QueryBool(
        load_default=False, metadata={"description": "Unlink the users whose object is gone from the directory"}
    )
    force = QueryBool(load_default=False, metadata={"description": "With `unlink`: unlink them however many they are"})
