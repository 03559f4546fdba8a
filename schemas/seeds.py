"""A seed: everything that a store begins with, as one document. People write it by hand, so it has short forms."""

import re
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, pre_load, validate

from postroom.schemas.authmgr import BACKENDS
from postroom.schemas.bulk import BulkCreateSchema
from postroom.schemas.create_defaults import CreateDefaultsSchema
from postroom.schemas.devices import LONGEST_DEVICE_ID, WIPE_STATUSES, DeviceReportSchema, check_device_id
from postroom.schemas.domains import LARGEST_MAX_USER, DomainCreateSchema
from postroom.schemas.fields import Bool, Input, Int, Listed, Text, check_time
from postroom.schemas.ldap import LdapConfigSchema
from postroom.schemas.oof import OofSchema
from postroom.schemas.tokens import LONGEST_NAME as LONGEST_TOKEN_NAME
from postroom.schemas.tokens import MOST_NETWORKS, MOST_PERMISSIONS, NetworkField
from postroom.schemas.users import Addresses, AltnameSchema
from postroom.schemas.values.roles import LONGEST_DESCRIPTION, LONGEST_NAME
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Most users of a domain that names no other number.
MOST_USERS: Final = 10_000
_TOKEN: Final = re.compile(r"postroom_[A-Za-z0-9_-]+", re.ASCII)


def _named(name: str, value: Any) -> Any:
    """The short form of an entry is its name alone."""
    return {name: value} if isinstance(value, str) else value


class SeedOrgSchema(Input):
    """An organisation, or its name."""

    name = Text(32, required=True, validate=validate.Length(min=1))
    description = Text(128, line=False, allow_none=True)
    ldap = fields.Nested(LdapConfigSchema)

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
    createDefaults = fields.Nested(CreateDefaultsSchema)

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
    """A role; users name it. `madeFor`: purging this domain removes it, too, as one that `createRole` has made."""

    name = Text(LONGEST_NAME, required=True, validate=validate.Length(min=1))
    description = Text(LONGEST_DESCRIPTION, line=False, allow_none=True)
    permissions = fields.List(fields.Nested(SeedPermissionSchema), load_default=list)
    madeFor = Text(255)


class SeedDeviceSchema(DeviceReportSchema):
    """A device as its server reports it, with its wipe status, and whether it is to start over; or its ID."""

    deviceID = Text(LONGEST_DEVICE_ID, required=True, validate=check_device_id)
    wipeStatus = Int(validate=validate.OneOf(WIPE_STATUSES), load_default=0)
    resync = Bool(load_default=False)

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("deviceID", data)


class SeedAltnameSchema(AltnameSchema):
    """An alternative login name, and where it comes from: 0 by hand, 99 from a directory. Or the name alone."""

    magic = Int(validate=validate.OneOf((0, 99)))

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("altname", data)


class SeedUserSchema(BulkCreateSchema):
    """A user as in POST users, with everything that belongs to them; or the username.

    `domain` is needed only where the username does not tell it.
    """

    class Meta:
        exclude = ("domainID",)

    domain = Text(255)
    ldapID = Text(4096, allow_none=True)
    altnames = Listed(fields.Nested(SeedAltnameSchema), allow_none=True, validate=validate.Length(max=1000))
    roles = fields.List(Text(LONGEST_NAME), load_default=list)
    oof = fields.Nested(OofSchema(unknown="raise"))
    delegates = Addresses()
    sendas = Addresses()
    storeAccess = fields.List(Text(LONGEST_ADDRESS))
    devices = fields.List(fields.Nested(SeedDeviceSchema), load_default=list)
    #: Of devices that are not in the list, because they were removed: they start over when they come back.
    resyncs = fields.List(Text(LONGEST_DEVICE_ID, validate=check_device_id))

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("username", data)


class SeedTokenSchema(Input):
    """A token for programs, by default of `admin` and without an end; or its name. Its text is `postroom_` and the name
    unless another one is given.
    """

    name = Text(LONGEST_TOKEN_NAME, required=True, validate=validate.Length(min=1))
    owner = Text(LONGEST_ADDRESS, load_default="admin")
    token = Text(200)
    # In place of the text: its SHA-256.
    tokenHash = Text(64, validate=validate.Regexp(r"[0-9a-f]{64}\Z", error="Not a SHA-256 in hexadecimal digits."))
    permissions = Listed(fields.Nested(SeedPermissionSchema), validate=validate.Length(min=1, max=MOST_PERMISSIONS))
    readOnly = Bool(load_default=False)
    networks = Listed(NetworkField(), load_default=list, validate=validate.Length(max=MOST_NETWORKS))
    expires = Text(19, allow_none=True, load_default=None, validate=check_time)

    @pre_load
    def _short(self, data: Any, **_: Any) -> Any:
        return _named("name", data)

    @post_load
    def _with_text(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "tokenHash" in data:
            if "token" in data:
                raise ValidationError("Only one of token and tokenHash can be given.", "tokenHash")
            return data
        text = data.setdefault("token", f"postroom_{data['name']}")
        if not _TOKEN.fullmatch(text):
            raise ValidationError(f"{text!r} is no token: it needs postroom_ and letters, digits, _ or -.", "token")
        return data


class SeedSettingsSchema(Input):
    """What is of no organisation and no domain.

    `ldap` is the directory of those whose organisation has none; `createDefaults` are for what is created later.
    """

    ldap = fields.Nested(LdapConfigSchema)
    createDefaults = fields.Nested(CreateDefaultsSchema)
    authBackendSelection = Text(16, validate=validate.OneOf(BACKENDS))


class SeedSchema(SeedSettingsSchema):
    """All of it. Users without any domain get one called example.org."""

    organisations = fields.List(fields.Nested(SeedOrgSchema), load_default=list)
    domains = fields.List(fields.Nested(SeedDomainSchema), load_default=list)
    roles = fields.List(fields.Nested(SeedRoleSchema), load_default=list)
    users = fields.List(fields.Nested(SeedUserSchema), load_default=list)
    tokens = fields.List(fields.Nested(SeedTokenSchema), load_default=list)
