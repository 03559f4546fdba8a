"""What a store says of itself."""

from contextlib import closing
from typing import Any, Final

from postroom.storage.connections import connect_reader, uri_of
from postroom.storage.keyring import Keyring
from postroom.storage.urls import is_url
from tests.support.both_engines import open_postgresql

#: Rows that break what postroom's own code and triggers keep.
_RULES: Final = {
    "the number of active users of a domain": """
        SELECT d.id FROM domains d
         WHERE d.active_users <> (SELECT count(*) FROM users u WHERE u.domain_id = d.id AND u.status = 0)""",
    "the number of users with a display type": """
        SELECT d.id FROM domains d
         WHERE (SELECT coalesce(sum(c.users), 0) FROM display_type_counts c WHERE c.domain_id = d.id)
            <> (SELECT count(*) FROM users u WHERE u.domain_id = d.id)""",
    "a search row of each user": "SELECT user_id FROM search_due",
}


def complaints(database: str) -> list[str]:
    """What is wrong with a store, also while a service uses it."""
    if is_url(database):
        with open_postgresql(database) as server:
            return _broken(server)
    with closing(connect_reader(uri_of(database), Keyring(None))) as connection:
        rows = connection.execute("PRAGMA integrity_check").fetchall()
        found = [str(row) for row in rows if row != ("ok",)]
        found += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        return found + _broken(connection)


def _broken(connection: Any) -> list[str]:
    return [f"{rule}: {rows}" for rule, sql in _RULES.items() if (rows := connection.execute(sql).fetchall())]
