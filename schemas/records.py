"""Records of a file that is imported: the entries of a seed, with what a store sets itself where the file has it.

What a store sets itself (IDs, times, the history of wipes) counts only in a store that was empty.
"""

from typing import Final

from marshmallow import Schema, fields, validate

from postroom.schemas.devices import LONGEST_DEVICE_ID, WIPE_STATUSES, check_device_id
from postroom.schemas.fields import Input, Int, Listed, Text
from postroom.schemas.seeds import (
    SeedDomainSchema,
    SeedOrgSchema,
    SeedRoleSchema,
    SeedSettingsSchema,
    SeedTokenSchema,
    SeedUserSchema,
)
from postroom.schemas.users import Addresses
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Most changes of wipe statuses that a store keeps of a user.
_MOST_EVENTS: Final = 1000
#: Every client counts up to here, and further IDs follow; after the largest of 64 bits, a database has no next one.
LARGEST_ID: Final = 2**53 - 1


def _id() -> Int:
    return Int(validate=validate.Range(1, LARGEST_ID))


def _unix_time() -> Int:
    return Int(validate=validate.Range(0), allow_none=True)


class OrganisationRecordSchema(SeedOrgSchema):
    """An organisation."""

    ID = _id()


class DomainRecordSchema(SeedDomainSchema):
    """A domain."""

    ID = _id()


class RoleRecordSchema(SeedRoleSchema):
    """A role."""

    ID = _id()


class WipeEventSchema(Input):
    """A change of the wipe status of a device, which may be gone."""

    deviceID = Text(LONGEST_DEVICE_ID, required=True, validate=check_device_id)
    time = Int(required=True, validate=validate.Range(0))
    remoteIP = Text(255, load_default="")
    status = Int(required=True, validate=validate.OneOf(WIPE_STATUSES))


class UserRecordSchema(SeedUserSchema):
    """A user."""

    ID = _id()
    wipeHistory = Listed(fields.Nested(WipeEventSchema), load_default=list, validate=validate.Length(max=_MOST_EVENTS))


class AccessRecordSchema(Input):
    """What a user gives to others: for what could not be stored with the user."""

    username = Text(LONGEST_ADDRESS, required=True, validate=validate.Length(min=1))
    delegates = Addresses()
    sendas = Addresses()
    storeAccess = fields.List(Text(LONGEST_ADDRESS))


class TokenRecordSchema(SeedTokenSchema):
    """A token for programs, by the hash of its text."""

    ID = _id()
    created = _unix_time()
    lastUsed = _unix_time()
    lastSource = Text(64, allow_none=True)


class SettingsRecordSchema(SeedSettingsSchema):
    """What is of no organisation and no domain."""


#: Kind -> the schema of its data.
KINDS: Final[dict[str, Schema]] = {
    "organisation": OrganisationRecordSchema(),
    "domain": DomainRecordSchema(),
    "role": RoleRecordSchema(),
    "user": UserRecordSchema(),
    "access": AccessRecordSchema(),
    "token": TokenRecordSchema(),
    "settings": SettingsRecordSchema(),
}
