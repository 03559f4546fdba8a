"""Searches on replicas, which see everything that was committed when they were asked, or leave it to the primary."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, TypeVarTuple

from postroom.storage.faults import DatabaseError
from postroom.storage.generation import Generation
from postroom.storage.postgresql.connection import Connection
from postroom.storage.postgresql.sessions import Reader, Session
from postroom.storage.searches import Turn

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

#: Seconds to wait until a replica has what was committed, and between two looks at it.
PATIENCE: Final = 0.2
_PAUSE: Final = 0.002
#: Seconds for which a replica that has failed is not asked.
AWAY: Final = 5.0

#: A commit is on disk before anybody sees it, so this position is behind all that the same statement sees.
_SELECT_POSITION: Final = "SELECT value, CAST(pg_current_wal_flush_lsn() AS text) FROM auth_generation"
_HAS_REPLAYED: Final = "SELECT pg_last_wal_replay_lsn() >= CAST(? AS pg_lsn)"


class _BehindError(Exception):
    """The replica has not caught up in time."""


class ReplicaReader:
    """A reader on a replica, and one on the primary for when the replica is behind or away."""

    def __init__(self, replica: Reader, primary: Reader, look_ups: Session, generation: Generation) -> None:
        self._replica = replica
        self._primary = primary
        self._look_ups = look_ups
        self._generation = generation
        self._away_until = 0.0

    @property
    def pending(self) -> int:
        """How much both have to do."""
        return self._replica.pending + self._primary.pending

    async def run(self, turn: Turn, function: Callable[[Any, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)`, which sees whatever was committed before, on any node."""
        if time.monotonic() < self._away_until:
            return await self._primary.run(turn, function, *args)
        position = await self._look_ups.run(_find_position, self._generation)
        # Should the replica fail, the primary begins anew.
        first = Turn(turn.seconds)
        try:
            result: T = await self._replica.run(first, _run_when_replayed, position, function, args)
        except _BehindError:
            pass
        except DatabaseError:
            self._away_until = time.monotonic() + AWAY
        else:
            return result
        finally:
            turn.begun = first.begun
        return await self._primary.run(turn, function, *args)

    async def close(self) -> None:
        """Stops what both do, and ends them."""
        await asyncio.gather(self._replica.close(), self._primary.close())


def _find_position(connection: Connection, generation: Generation) -> str:
    """Where the primary's log ends at this moment; the generation is learned on the way."""
    mark = generation.mark()
    value, position = connection.execute(_SELECT_POSITION).fetchone()
    generation.learn(value, mark)
    return str(position)


def _run_when_replayed(connection: Connection, position: str, function: Callable[..., T], args: Any) -> T:
    until = time.monotonic() + PATIENCE
    while not connection.execute(_HAS_REPLAYED, (position,)).fetchone()[0]:
        if time.monotonic() > until:
            raise _BehindError
        time.sleep(_PAUSE)
    return function(connection, *args)
