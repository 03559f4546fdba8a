"""Runs the writes that share a transaction, so that each is applied completely or not at all."""

import time
from collections.abc import Sequence
from typing import cast

from postroom.storage.engine import Writer
from postroom.storage.faults import OperationalError
from postroom.storage.lanes import BATCH_SECONDS, Job, Outcomes
from postroom.storage.writing import Write

#: After a failure, so many transactions have savepoints from the beginning: failures come in series.
_CAREFUL = 32


class Together:
    """Runs writes without savepoints, which take 3.5 µs each; when one fails, undoes all and runs them with savepoints.

    So a write may run twice. One that must not (`Write.once`) always has a savepoint, and those beside it.
    """

    def __init__(self) -> None:
        self._careful = 0

    def run(self, connection: Writer, batch: Sequence[Job]) -> Outcomes:
        """What became of the first writes, at least of one, within the time of a transaction, which has begun.

        What a write that is alone has changed before it fails is the caller's to undo. Raises what has ended the
        transaction.
        """
        if len(batch) == 1:
            return _run_alone(connection, batch[0])
        if self._careful == 0 and not any(cast(Write, job.function).once for job in batch):
            try:
                return _run_plain(connection, batch)
            except Exception:
                # After a full disk or an I/O error SQLite has rolled back all by itself: that fails the batch.
                if not connection.in_transaction:
                    raise
            self._careful = _CAREFUL
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
        self._careful = max(self._careful - 1, 0)
        return _run_in_savepoints(connection, batch)


def _run_alone(connection: Writer, job: Job) -> Outcomes:
    # Inside a savepoint each statement takes longer the more pages were changed since, so a job that is alone in its
    # transaction, as a large one should be, has none.
    try:
        return _run_plain(connection, [job])
    except Exception as error:
        if not connection.in_transaction:
            raise
        return [(None, error)]


def _run_plain(connection: Writer, batch: Sequence[Job]) -> Outcomes:
    outcomes: Outcomes = []
    until = time.monotonic() + BATCH_SECONDS
    for number, job in enumerate(batch):
        if outcomes and time.monotonic() > until:
            break
        connection.job = number
        outcomes.append((job.function(connection, *job.args), None))
        # What comes next would otherwise be stored by itself, statement by statement.
        if not connection.in_transaction:
            raise OperationalError("A write has ended the transaction")
    return outcomes


def _run_in_savepoints(connection: Writer, batch: Sequence[Job]) -> Outcomes:
    outcomes: Outcomes = []
    until = time.monotonic() + BATCH_SECONDS
    for number, job in enumerate(batch):
        if outcomes and time.monotonic() > until:
            break
        connection.execute("SAVEPOINT job")
        connection.job = number
        try:
            outcomes.append((job.function(connection, *job.args), None))
        except Exception as error:
            if not connection.in_transaction:
                raise
            outcomes.append((None, error))
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
    return outcomes
