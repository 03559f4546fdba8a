"""What the writer does in each transaction before it commits."""

from collections.abc import Sequence

import orjson

from postroom.storage import user_search
from postroom.storage.audit.record import NOTED, Author, record
from postroom.storage.engine import Connection
from postroom.storage.generation import SELECT_GENERATION
from postroom.storage.outdated import SELECT_OLDEST, Outdated

#: All that has to be known, in one statement.
_DUE = f"""
    SELECT ({SELECT_OLDEST}), ({SELECT_GENERATION}), EXISTS (SELECT 1 FROM search_due), (SELECT max(id) FROM audit),
           {NOTED}
"""


def finish(connection: Connection, outdated: Outdated, authors: Sequence[Author], now: float) -> int:
    """Makes the search rows that are due, and records what was changed; returns the generation.

    `authors`: of the writes in the transaction, in the order of their numbers. `now`: the UNIX time. Raises
    LostDatabaseError when a newer program has migrated the database, and this one must not write in it.
    """
    oldest, generation, is_search_due, last_id, noted = connection.execute(_DUE).fetchone()
    outdated.learn(oldest)
    if is_search_due:
        user_search.refresh(connection)
    record(connection, orjson.loads(noted), last_id, authors, now)
    return int(generation)
