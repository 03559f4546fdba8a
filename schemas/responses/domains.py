"""Responses about domains, their folders and plugins."""

from marshmallow import fields

from postroom.schemas.domains import DomainCommonSchema
from postroom.schemas.fields import ADDITION, Input, Int, Text
from postroom.schemas.responses.common import HomeserverRefSchema


class DomainSchema(DomainCommonSchema):
    """A mail domain. The level decides which fields it has."""

    ID = Int(required=True)
    domainname = Text(64, required=True)
    displayname = fields.String(required=True)
    maxUser = Int()
    activeUsers = Int()
    inactiveUsers = Int()
    virtualUsers = Int()
    homeserver = fields.Nested(HomeserverRefSchema, allow_none=True)


class DomainListSchema(Input):
    """A page of domains; `count` is the total number of matches."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(DomainSchema), required=True)


class DomainRefSchema(Input):
    """A domain by ID and names."""

    ID = Int(required=True)
    domainname = fields.String(required=True)
    displayname = fields.String(required=True)


class FolderTreeSchema(Input):
    """A public folder and its subfolders. IDs are text, because they are too large for JavaScript's numbers."""

    folderid = fields.String(required=True)
    name = fields.String(required=True)
    container = fields.String(required=True)
    children = fields.List(fields.Dict(), required=True)


class DisabledPluginsSchema(Input):
    """Plugins by name, in the stored order."""

    data = fields.List(fields.String(), required=True)
