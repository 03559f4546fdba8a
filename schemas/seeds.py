"""A seed: everything that a store begins with, as one document. People write it by hand, so it has short forms."""

from typing import Any, Final

from marshmallow import fields, pre_load, validate

from postroom.schemas.bulk import BulkCreateSchema
from postroom.schemas.devices import LONGEST_DEVICE_ID, WIPE_STATUSES, DeviceReportSchema, check_device_id
from postroom.schemas.domains import LARGEST_MAX_USER, DomainCreateSchema
from postroom.schemas.fields import Bool, Input, Int, Text
from postroom.schemas.oof import OofSchema
from postroom.schemas.users import Addresses
from postroom.schemas.values.roles import LONGEST_DESCRIPTION, LONGEST_NAME
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Most users of a domain that names no other number.
MOST_USERS: Final = 10_000


def _named(name: str, value: Any) -> Any:
    """The short form of an entry is its name alone."""
    return {name: value} if isinstance(value, str) else value


class SeedOrgSchema(Input):
    """An organisation, or its name."""

    name = Text(32, required=True, validate=validate.Length(min=1))
    description = Text(128, line=False, allow_none=True)

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("name", data)


class SeedDomainSchema(DomainCreateSchema):
    """A domain as in POST /system/domains, with the name of its organisation; or its name."""

    class Meta:
        exclude = ("orgID",)

    maxUser = Int(validate=validate.Range(0, LARGEST_MAX_USER), load_default=MOST_USERS)
    organisation = Text(32)
    disabledPlugins = fields.List(Text(64), validate=validate.Length(max=100))

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("domainname", data)


class SeedPermissionSchema(Input):
    """A permission with the name of a domain or an organisation, or "*" for all: `{DomainAdmin: example.org}`. One that
    has none is its name.
    """

    permission = Text(64, required=True)
    target = Text(255, allow_none=True, load_default=None)

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        if isinstance(data, dict) and len(data) == 1 and "permission" not in data:
            ((permission, target),) = data.items()
            return {"permission": permission, "target": target}
        return _named("permission", data)


class SeedRoleSchema(Input):
    """A role; users name it."""

    name = Text(LONGEST_NAME, required=True, validate=validate.Length(min=1))
    description = Text(LONGEST_DESCRIPTION, line=False, allow_none=True)
    permissions = fields.List(fields.Nested(SeedPermissionSchema), load_default=list)


class SeedDeviceSchema(DeviceReportSchema):
    """A device as its server reports it, with its wipe status, and whether it is to start over; or its ID."""

    deviceID = Text(LONGEST_DEVICE_ID, required=True, validate=check_device_id)
    wipeStatus = Int(validate=validate.OneOf(WIPE_STATUSES), load_default=0)
    resync = Bool(load_default=False)

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("deviceID", data)


class SeedUserSchema(BulkCreateSchema):
    """A user as in POST users, with everything that belongs to them; or the username.

    `domain` is needed only where the username does not tell it.
    """

    class Meta:
        exclude = ("domainID",)

    domain = Text(255)
    ldapID = Text(4096, allow_none=True)
    roles = fields.List(Text(LONGEST_NAME), load_default=list)
    oof = fields.Nested(OofSchema(unknown="raise"))
    delegates = Addresses()
    sendas = Addresses()
    storeAccess = fields.List(Text(LONGEST_ADDRESS))
    devices = fields.List(fields.Nested(SeedDeviceSchema), load_default=list)

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("username", data)


class SeedSchema(Input):
    """All of it. Users without any domain get one called example.org."""

    organisations = fields.List(fields.Nested(SeedOrgSchema), load_default=list)
    domains = fields.List(fields.Nested(SeedDomainSchema), load_default=list)
    roles = fields.List(fields.Nested(SeedRoleSchema), load_default=list)
    users = fields.List(fields.Nested(SeedUserSchema), load_default=list)
