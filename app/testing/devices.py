"""What devices do, which no operation of the API can make them do: they synchronise, and they wipe themselves."""

from collections.abc import Mapping
from typing import Any, Final

from postroom.app.services.context import Context
from postroom.app.transactions import devices
from postroom.app.transactions.devices import Origin
from postroom.schemas.devices import DeviceContactSchema, WipeAcknowledgementSchema
from postroom.testing.errors import explained, loaded

_CONTACT: Final = DeviceContactSchema()
_ACKNOWLEDGEMENT: Final = WipeAcknowledgementSchema()
#: Where devices are.
_ADDRESS: Final = "127.0.0.1"


async def sync(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """A contact, as in DeviceContactSchema; returns what the device is told. Raises HarnessError."""
    state = loaded(_CONTACT, given, "device_syncs")
    user, device = state.pop("user"), state.pop("device")
    with explained("device_syncs"):
        resync, status = await context.database.write(devices.sync_device, user, device, state, _origin(context))
    return {"resync": resync, "status": status}


async def acknowledge_wipe(context: Context, given: Mapping[str, Any]) -> dict[str, Any]:
    """A device that has wiped itself, as in WipeAcknowledgementSchema; returns its status. Raises HarnessError."""
    found = loaded(_ACKNOWLEDGEMENT, given, "device_acknowledges_wipe")
    with explained("device_acknowledges_wipe"):
        status = await context.database.write(
            devices.acknowledge_wipe, found["user"], found["device"], _origin(context)
        )
    return {"status": status}


def _origin(context: Context) -> Origin:
    return Origin(context.clock.unix(), _ADDRESS)
