"""What the service looks at for its metrics: some of it every second, some only when it is asked."""

import asyncio
import platform
from collections import Counter
from importlib.metadata import version
from typing import Final

from postroom.app.metrics import catalogue
from postroom.app.metrics.catalogue import Reading
from postroom.app.services.context import Context
from postroom.storage import figures
from postroom.storage.database import Database
from postroom.storage.faults import is_unavailable
from postroom.storage.migrations import latest

#: Seconds between two looks; between two counts of the devices, and between two pieces of such a count.
SAMPLED_EVERY: Final = 1.0
DEVICES_EVERY: Final = 300.0
_PAUSE: Final = 0.05
#: Seconds within which the database has to answer.
PATIENCE: Final = 2.0

_DOMAIN_STATUSES: Final = ("active", "suspended", "out-of-date", "deleted")
_TASK_STATES: Final = {0: "queued", 2: "running", 3: "completed", 4: "failed", 5: "cancelled"}
_DEVICE_STATES: Final = {
    0: "normal", 1: "normal", 2: "wipe-pending", 16: "wipe-pending", 4: "wipe-requested", 32: "wipe-requested",
    8: "wiped", 64: "wiped",
}  # fmt: skip

#: Metric -> (values of its labels, number).
Readings = dict[Reading, list[tuple[tuple[str, ...], float]]]


async def sample(context: Context) -> None:
    """Notes for the other workers what this one does."""
    context.metrics.sample()


async def count_devices_for_all(context: Context) -> None:
    """The first of several workers counts for all."""
    if context.config.metrics and context.metrics.place.worker == 0:
        await count_devices(context)


async def count_devices(context: Context) -> None:
    """Counts in pieces, because nothing keeps these counts."""
    found = Counter(dict.fromkeys(_DEVICE_STATES.values(), 0))
    last: int | None = 0
    while last is not None:
        last, statuses = await figures.select_devices_by_status(context.database, last)
        for status, number in statuses.items():
            found[_DEVICE_STATES[status]] += number
        await asyncio.sleep(_PAUSE if last is not None else 0)
    for state, number in found.items():
        context.metrics.devices.set(state, to=number)


async def read(context: Context) -> Readings:
    """What is read when somebody asks; without the database, what needs none."""
    context.metrics.sample()
    labels = version("postroom"), context.database.engine, platform.python_version()
    found: Readings = {catalogue.SCHEMA: [((), latest())], catalogue.BUILD: [(labels, 1)]}
    try:
        async with asyncio.timeout(PATIENCE):
            found |= await _read_stored(context.database) | await _read_backups(context)
    except Exception as error:
        if not (is_unavailable(error) or isinstance(error, TimeoutError)):
            raise
        found[catalogue.UP] = [((), 0)]
    return found


async def _read_stored(database: Database) -> Readings:
    await database.check()
    counted = await figures.select_figures(database)
    domains, users = dict.fromkeys(_DOMAIN_STATUSES, 0), dict.fromkeys(("active", "inactive", "virtual"), 0)
    for status, number, *of_users in counted.domains:
        domains[_DOMAIN_STATUSES[status]] += number
        for name, more in zip(users, of_users, strict=True):
            users[name] += more
    tasks = dict.fromkeys(_TASK_STATES.values(), 0)
    for state, number in counted.tasks:
        tasks[_TASK_STATES.get(state, "running")] += number
    shown = {catalogue.USERS: users, catalogue.DOMAINS: domains, catalogue.TASKS: tasks}
    return {
        catalogue.UP: [((), 1)],
        **{reading: [((name,), number) for name, number in numbers.items()] for reading, numbers in shown.items()},
    }


async def _read_backups(context: Context) -> Readings:
    backups = context.backups
    if not backups.wanted:
        return {}
    state, newest = await backups.state(), backups.newest
    found: Readings = {catalogue.BACKUP_FAILED: [((), state["error"] is not None)]}
    if newest is not None:
        found[catalogue.BACKUP_TIME] = [((), newest.when.timestamp())]
        found[catalogue.BACKUP_SIZE] = [((), newest.size)]
    return found
