"""Responses about domains and what they hold."""

from marshmallow import fields

from postroom.schemas.domains import DomainCommonSchema
from postroom.schemas.fields import ADDITION, Input, Int, Text
from postroom.schemas.responses.common import HomeserverRefSchema


class DomainSchema(DomainCommonSchema):
    """A mail domain. Which fields are there depends on the level."""

    ID = Int(required=True)
    domainname = Text(64, required=True)
    displayname = fields.String(required=True)
    maxUser = Int()
    activeUsers = Int()
    inactiveUsers = Int()
    virtualUsers = Int()
    homeserver = fields.Nested(HomeserverRefSchema, allow_none=True)


class DomainListSchema(Input):
    """A page of domains; `count` is how many match in all."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(DomainSchema), required=True)


class DomainRefSchema(Input):
    """A domain by ID and names."""

    ID = Int(required=True)
    domainname = fields.String(required=True)
    displayname = fields.String(required=True)


class FolderTreeSchema(Input):
    """A public folder and those in it. IDs are text: JavaScript's numbers cannot hold them."""

    folderid = fields.String(required=True)
    name = fields.String(required=True)
    container = fields.String(required=True)
    children = fields.List(fields.Dict(), required=True)


class DisabledPluginsSchema(Input):
    """Plugins by name, in the order in which they were put."""

    data = fields.List(fields.String(), required=True)
