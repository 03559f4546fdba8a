"""Responses about ActiveSync devices and their policies."""

from marshmallow import fields, validate

from postroom.schemas.devices import WIPE_STATUSES, ProtocolVersion
from postroom.schemas.fields import ADDITION, Bool, Input, Int
from postroom.schemas.sync_policy import SyncPolicySchema


class SyncPolicyAnswerSchema(Input):
    """An ActiveSync policy as it takes effect."""

    data = fields.Nested(SyncPolicySchema, required=True)


class DeviceSchema(Input):
    """An ActiveSync device. Times are UNIX times, null when there was none; `asversion` is as it was reported."""

    deviceid = fields.String(required=True, metadata=ADDITION)
    devicetype = fields.String(required=True)
    useragent = fields.String(required=True)
    deviceuser = fields.String(required=True, metadata=ADDITION)
    firstsynctime = Int(required=True, allow_none=True)
    lastupdatetime = Int(required=True, allow_none=True)
    lastconnecttime = Int(required=True, allow_none=True, metadata=ADDITION)
    asversion = ProtocolVersion(required=True)
    foldersSyncable = Int(required=True)
    foldersSynced = Int(required=True)
    wipeStatus = Int(required=True, validate=validate.OneOf(WIPE_STATUSES), metadata=ADDITION)


class DeviceListSchema(Input):
    """All devices of a user."""

    data = fields.List(fields.Nested(DeviceSchema), required=True)


class DeviceStatusSchema(Input):
    """The state of a wipe: 0 unknown, 1 none; 2 pending, 4 requested, 8 wiped; 16, 32, 64 the same for the account."""

    status = Int(required=True, validate=validate.OneOf(WIPE_STATUSES))


class DeviceStatusesSchema(Input):
    """States of wipes by device ID."""

    data = fields.Dict(keys=fields.String(), values=fields.Nested(DeviceStatusSchema), required=True)


class DeviceContactSchema(Input):
    """The UNIX time of the last contact, null and 0 when there was none."""

    status = Int(required=True)
    lastconnecttime = Int(required=True, allow_none=True, metadata=ADDITION)


class DeviceContactsSchema(Input):
    """Last contacts by device ID."""

    data = fields.Dict(keys=fields.String(), values=fields.Nested(DeviceContactSchema), required=True)


class DueSchema(DeviceStatusSchema):
    """What is due to a device: whether it has to start over, and the state of its wipe."""

    resync = Bool(required=True)


class DeviceDueSchema(Input):
    """What a device that has been reported is told."""

    data = fields.Nested(DueSchema, required=True)


class UserInformationSchema(Input):
    """Whether a user is linked to a directory."""

    ldap = Bool(required=True)
