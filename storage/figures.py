"""How much there is of what, for those who watch the service: from kept counters, or in small pieces."""

from typing import Final, NamedTuple

from postroom.storage.database import Database
from postroom.storage.engine import Connection

#: Devices that are counted at once.
_PIECE: Final = 10_000
#: No ID is larger.
_LAST: Final = 2**63 - 1


class Figures(NamedTuple):
    """Rows of (domain status, domains, active, inactive, virtual users), and of (state, tasks)."""

    domains: list[tuple[int, int, int, int, int]]
    tasks: list[tuple[int, int]]


async def select_figures(database: Database) -> Figures:
    """Takes as long as there are domains, however many users they have."""
    return await database.read(_read_figures)


def _read_figures(connection: Connection) -> Figures:
    domains = connection.execute(
        """
        SELECT domain_status, count(*), sum(active_users), sum(inactive_users), sum(virtual_users)
          FROM domains
         GROUP BY domain_status
        """
    ).fetchall()
    tasks = connection.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall()
    return Figures([(int(a), int(b), int(c), int(d), int(e)) for a, b, c, d, e in domains], [tuple(t) for t in tasks])


async def select_devices_by_status(database: Database, after: int) -> tuple[int | None, dict[int, int]]:
    """Wipe status -> number of the devices of some users behind this one; and the last of these users, or None when
    there are no more.
    """
    return await database.read(_read_devices, after)


def _read_devices(connection: Connection, after: int) -> tuple[int | None, dict[int, int]]:
    row = connection.execute(
        "SELECT user_id FROM devices WHERE user_id > ? ORDER BY user_id LIMIT 1 OFFSET ?", (after, _PIECE)
    ).fetchone()
    last = None if row is None else int(row[0])
    # Two bounds, so that both engines read this range of the index and no more.
    counts = connection.execute(
        """
        SELECT wipe_status, count(*)
          FROM devices
         WHERE user_id > ? AND user_id <= ?
         GROUP BY wipe_status
        """,
        (after, _LAST if last is None else last),
    ).fetchall()
    return last, {int(status): int(number) for status, number in counts}
