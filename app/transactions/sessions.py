"""Ends logins of other users."""

from postroom.app.transactions import authority
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.lookups import find_user_or_raise
from postroom.storage import sessions
from postroom.storage.engine import Connection


def end_sessions_of(connection: Connection, domain_id: int, user_id: int, actor: Actor) -> str:
    """Ends all logins of a user of the domain; returns the username. Raises NotFoundError, ForbiddenError (a user with
    more permissions).
    """
    user = find_user_or_raise(connection, domain_id, user_id)
    authority.check_may_change(connection, actor, user_id, user.username, "end their logins")
    sessions.delete_other_sessions(connection, user_id, None)
    return user.username
