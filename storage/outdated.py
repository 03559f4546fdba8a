"""Whether this program may still work with its database: a newer one may have migrated it meanwhile."""

import logging
from typing import Final

from postroom.storage.engine import Connection
from postroom.storage.faults import LostDatabaseError
from postroom.storage.migrations import GOES_ON
from postroom.storage.spelling import pair

log = logging.getLogger("postroom.storage")

#: The oldest schema that a program must know.
SELECT_OLDEST: Final = "SELECT oldest_schema FROM compatibility"
_SELECT_VERSION: Final = pair("SELECT user_version FROM pragma_user_version", "SELECT version FROM schema_version")
_SELECT_BOTH: Final = f"SELECT ({SELECT_OLDEST}), ({_SELECT_VERSION})"
_OUTDATED: Final = "A newer version of postroom has migrated the database, and this one cannot go on: start that one"


class Outdated:
    """What is known of the schema. It is asked once a second, and inside every transaction that writes."""

    def __init__(self, known: int) -> None:
        """`known`: the schema of this program."""
        self._known = known
        self._found: int | None = None
        #: Whether the program must not go on; once it is, for good.
        self._is_outdated = False

    def check(self) -> None:
        """Raises LostDatabaseError when the last look has shown that."""
        if self._is_outdated:
            raise LostDatabaseError(_OUTDATED)

    def learn(self, oldest: int) -> None:
        """Takes over what SELECT_OLDEST has found. Raises LostDatabaseError."""
        if oldest > self._known and not self._is_outdated:
            self._is_outdated = True
            log.error("%s (it has to know schema %d, and knows %d)", _OUTDATED, oldest, self._known)
        self.check()

    def look(self, connection: Connection) -> None:
        """Asks, and logs when this program can go on with a newer schema. Raises LostDatabaseError."""
        oldest, version = connection.execute(_SELECT_BOTH).fetchone()
        self.learn(oldest)
        if self._found is not None and version > max(self._found, self._known):
            log.warning(GOES_ON, version, self._known)
        self._found = version
