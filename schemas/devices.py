"""Requests about ActiveSync devices, from administrators and from the ActiveSync server."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import Schema, ValidationError, fields, validate

from postroom.schemas.fields import INT64_MAX, CommaSeparated, Input, Int, Text
from postroom.schemas.session import LONGEST_PASSWORD
from postroom.schemas.values.users import LONGEST_ADDRESS

#: Status of a wipe: 0 unknown, 1 none; 2 pending, 4 requested, 8 wiped; 16, 32, 64 the same for the account.
WIPE_STATUSES = (0, 1, 2, 4, 8, 16, 32, 64)

LONGEST_DEVICE_ID = 64
_DEVICE_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST_DEVICE_ID}}}", re.ASCII)

#: Most devices in one request: a URL hardly has room for more.
_MOST_DEVICES = 100


def check_device_id(text: str) -> None:
    """Raises ValidationError unless the text could be a device ID."""
    if not _DEVICE_ID.fullmatch(text):
        raise ValidationError(
            f"{text[:LONGEST_DEVICE_ID]!r} is no device ID: those have 1 to {LONGEST_DEVICE_ID} letters, digits, "
            "dots, underscores, colons and hyphens."
        )


class ProtocolVersion(fields.Field[str | float]):
    """A version of the ActiveSync protocol: text or a number, stored as given."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str | float:
        if isinstance(value, str):
            return str(Text(32).deserialize(value))
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1000:
            # Return 14 as 14.0: some clients do not accept an integer here.
            return float(value)
        raise ValidationError("Neither a version as text nor a number from 0 to 1000.")


class DevicePathSchema(Schema):
    """The device in a path."""

    deviceID = Text(LONGEST_DEVICE_ID, validate=check_device_id)


def _count() -> Int:
    return Int(validate=validate.Range(0, INT64_MAX))


class WipeRequestSchema(Input):
    """The body of POST wipe: status 2 wipes the whole device, 16 the account on it. The password is the caller's."""

    optional: ClassVar[bool] = True
    # Not required here: a missing password gets the same error as a wrong one.
    password = Text(LONGEST_PASSWORD, line=False, load_only=True)
    status = Int(load_default=2, validate=validate.OneOf((2, 16)))


class DevicesQuerySchema(Schema):
    """`devices`: only these devices; without it, all of the user's."""

    devices = CommaSeparated(
        Text(LONGEST_DEVICE_ID, validate=check_device_id),
        load_default=list,
        validate=validate.Length(max=_MOST_DEVICES),
    )


class WipeReportSchema(Input):
    """The body of POST /service/wipe. `time` defaults to now, `remoteIP` to the sender's address."""

    status = Int(required=True, validate=validate.OneOf(WIPE_STATUSES))
    password = Text(LONGEST_PASSWORD, line=False, load_only=True)
    # It need not be a plain address: servers also send "[::1]", or an address with a port.
    remoteIP = Text(64)
    time = _count()


class DeviceReportSchema(Input):
    """The body of PUT /service/sync: any fields of a device in GET sync, except those that postroom itself sets."""

    optional: ClassVar[bool] = True
    devicetype = Text(64)
    useragent = Text(255)
    deviceuser = Text(LONGEST_ADDRESS)
    firstsynctime = _count()
    lastupdatetime = _count()
    lastconnecttime = _count()
    asversion = ProtocolVersion()
    foldersSyncable = _count()
    foldersSynced = _count()


class DeviceContactSchema(DeviceReportSchema):
    """A contact of a device with a server of a test: whose device it is, and any fields of its report."""

    user = Text(LONGEST_ADDRESS, required=True)
    device = Text(LONGEST_DEVICE_ID, required=True, validate=check_device_id)


class WipeAcknowledgementSchema(Input):
    """A device of a user that has wiped itself, in a server of a test."""

    user = Text(LONGEST_ADDRESS, required=True)
    device = Text(LONGEST_DEVICE_ID, required=True, validate=check_device_id)
