"""Checks of what a user can have at most."""

from typing import Final

from postroom.storage.checks.findings import Check, State, rows
from postroom.storage.device_states import HISTORY_OF_DEVICE, HISTORY_OF_USER, MOST_DEVICES, MOST_RESYNCS

_BOUNDS: Final = (
    ("devices", "user_id", MOST_DEVICES),
    ("due_resyncs", "user_id", MOST_RESYNCS),
    ("wipe_history", "user_id", HISTORY_OF_USER),
    ("wipe_history", "user_id, device_id", HISTORY_OF_DEVICE),
)

CHECKS: Final = (
    Check(
        "Values",
        "bounds",
        promise="Nobody has more devices, resyncs and wipes than are kept",
        fault="users with more than is kept",
        find=rows(
            " UNION ALL ".join(
                f"SELECT count(*) || ' {table}, user ' || user_id FROM {table} GROUP BY {key} HAVING count(*) > {most}"
                for table, key, most in _BOUNDS
            )
        ),
        advice="The next device, resync or wipe of these users brings them back to the bound",
        state=State.WARNING,
    ),
)
