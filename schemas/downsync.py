"""Queries of the operations that deal with the directory."""

from marshmallow import Schema

from postroom.schemas.fields import QueryBool, Text


class ForceQuerySchema(Schema):
    """`force`: store a configuration even when its test fails."""

    force = QueryBool(load_default=False)


class DownsyncQuerySchema(Schema):
    """`ID`: the object to link the user to, as in `ldapID`; `lang`: the language of a user who has none."""

    ID = Text(4096)
    lang = Text(32, load_default="")
