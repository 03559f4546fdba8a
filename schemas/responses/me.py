"""Responses to users about themselves."""

from marshmallow import fields

from postroom.schemas.fields import Bool, Input, Int, Text


class QuotaSchema(Input):
    """What a mailbox may hold, in KiB; null: there is no limit."""

    storagequotalimit = Int(required=True, allow_none=True)
    prohibitsendquota = Int(required=True, allow_none=True)
    prohibitreceivequota = Int(required=True, allow_none=True)


class MeSchema(Input):
    """The caller. `ldap`: names and password are kept in a directory, and changed there. `selfService`: what of their
    own they may change besides their password. `now` is in `timezone`, as are all times.
    """

    ID = Int(required=True)
    username = Text(320, required=True)
    displayname = fields.String(required=True, allow_none=True)
    domainID = Int(required=True, allow_none=True)
    mailbox = Bool(required=True)
    lang = fields.String(required=True)
    ldap = Bool(required=True)
    aliases = fields.List(fields.String(), required=True)
    altnames = fields.List(fields.String(), required=True)
    quota = fields.Nested(QuotaSchema, required=True)
    selfService = fields.List(fields.String(), required=True)
    capabilities = fields.List(fields.String(), required=True)
    timezone = fields.String(required=True)
    now = Text(19, required=True)
