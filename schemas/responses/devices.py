"""Responses about ActiveSync devices and their policies."""

from marshmallow import fields, validate

from postroom.schemas.devices import WIPE_STATUSES, ProtocolVersion
from postroom.schemas.fields import ADDITION, Bool, Input, Int
from postroom.schemas.sync_policy import SyncPolicySchema


class SyncPolicyAnswerSchema(Input):
    """The effective ActiveSync policy."""

    data = fields.Nested(SyncPolicySchema, required=True)


class DeviceSchema(Input):
    """An ActiveSync device. Times are UNIX times, or null; `asversion` is as the device reported it."""

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
    """The status of a wipe: 0 unknown, 1 none; 2 pending, 4 requested, 8 wiped; 16, 32, 64 the same for the account."""

    status = Int(required=True, validate=validate.OneOf(WIPE_STATUSES))


class WipeChangeSchema(DeviceStatusSchema):
    """A change of the status of a wipe: the new one, when (UNIX time), and from where."""

    time = Int(required=True)
    remoteIP = fields.String(required=True)


class WipeHistorySchema(Input):
    """The changes of the status of a device's wipe, the latest first."""

    data = fields.List(fields.Nested(WipeChangeSchema), required=True)


class DeviceStatusesSchema(Input):
    """The status of wipes by device ID."""

    data = fields.Dict(keys=fields.String(), values=fields.Nested(DeviceStatusSchema), required=True)


class DeviceContactSchema(Input):
    """The UNIX time of the last contact in both fields; `lastconnecttime` is null and `status` 0 if there was none."""

    status = Int(required=True)
    lastconnecttime = Int(required=True, allow_none=True, metadata=ADDITION)


class DeviceContactsSchema(Input):
    """Last contacts by device ID."""

    data = fields.Dict(keys=fields.String(), values=fields.Nested(DeviceContactSchema), required=True)


class DueSchema(DeviceStatusSchema):
    """What a device has to do: whether to resync from scratch, and the status of its wipe."""

    resync = Bool(required=True)


class DeviceDueSchema(Input):
    """The response to a report about a device."""

    data = fields.Nested(DueSchema, required=True)


class UserInformationSchema(Input):
    """Whether a user is linked to a directory."""

    ldap = Bool(required=True)
