"""Logins that have not ended: from where, by which program, and when they were last used. Times are UNIX times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from postroom.storage.audit.record import discard
from postroom.storage.engine import Connection, Writer


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A login. `expires` is not earlier than that of any token that it has given out."""

    id: str
    user_id: int
    epoch: int
    created: int
    last_used: int
    expires: int
    source: str
    user_agent: str


_COLUMNS = "s.session_id, s.user_id, s.epoch, s.created, s.last_used, s.expires, s.source, s.user_agent"
#: More rows than there are.
_ALL = 1 << 62


def find_session(connection: Connection, session_id: str) -> SessionRow | None:
    """The session, or None. A later epoch of its user may have ended it."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM sessions s WHERE s.session_id = ?", (session_id,)).fetchone()
    return SessionRow(*row) if row else None


def list_sessions(connection: Connection, user_id: int, now: int) -> list[SessionRow]:
    """The sessions of a user that have not ended, the one used last first."""
    rows = connection.execute(
        f"""
        SELECT {_COLUMNS}
          FROM sessions s
          JOIN users u ON u.id = s.user_id
          LEFT JOIN domains d ON d.id = u.domain_id
         WHERE s.user_id = ? AND s.expires > ?
           AND (s.epoch = u.token_epoch + coalesce(d.token_epoch, 0)
                OR (s.session_id = u.kept_session AND u.kept_epoch = u.token_epoch + coalesce(d.token_epoch, 0)))
         ORDER BY s.last_used DESC, s.session_id
        """,
        (user_id, now),
    ).fetchall()
    return [SessionRow(*row) for row in rows]


def insert_session(connection: Connection, row: SessionRow, most: int) -> None:
    """Adds a session. Of more than `most` of the user, those not used for longest end."""
    connection.execute(
        """
        DELETE FROM sessions
         WHERE session_id IN (SELECT session_id
                                FROM sessions
                               WHERE user_id = ?
                               ORDER BY last_used DESC, session_id DESC
                               LIMIT ? OFFSET ?)
        """,
        (row.user_id, _ALL, most - 1),
    )
    connection.execute(
        """
        INSERT INTO sessions (session_id, user_id, epoch, created, last_used, expires, source, user_agent)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (row.id, row.user_id, row.epoch, row.created, row.last_used, row.expires, row.source, row.user_agent),
    )


def extend_session(connection: Connection, session_id: str, expires: int) -> bool:
    """Lets a session last longer; False if it has ended."""
    extended = connection.execute("UPDATE sessions SET expires = ? WHERE session_id = ?", (expires, session_id))
    return extended.rowcount > 0


def delete_session(connection: Connection, user_id: int, session_id: str) -> bool:
    """Ends a session of a user; returns whether there was one."""
    ended = connection.execute("DELETE FROM sessions WHERE session_id = ? AND user_id = ?", (session_id, user_id))
    return ended.rowcount > 0


def delete_other_sessions(connection: Connection, user_id: int, kept: str | None) -> None:
    """Ends the sessions of a user except one (None: all)."""
    connection.execute("DELETE FROM sessions WHERE user_id = ? AND session_id IS DISTINCT FROM ?", (user_id, kept))


def delete_expired_sessions(connection: Connection, now: int, most: int) -> int:
    """Forgets sessions that have expired; returns how many, at most `most`."""
    forgotten = connection.execute(
        """
        DELETE FROM sessions
         WHERE session_id IN (SELECT session_id FROM sessions WHERE expires <= ? ORDER BY expires LIMIT ?)
        """,
        (now, most),
    )
    # They have ended by themselves, which is no change that anybody has made.
    discard(cast(Writer, connection))
    return forgotten.rowcount


def update_last_uses(connection: Connection, uses: Sequence[tuple[str, int]]) -> None:
    """Notes when sessions were used: (ID, time) each. A later use stays."""
    connection.executemany(
        "UPDATE sessions SET last_used = ? WHERE session_id = ? AND last_used < ?",
        [(used, session_id, used) for session_id, used in uses],
    )
