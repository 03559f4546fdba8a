"""What keeps the domains of different administrators apart: where a user may be given a new name.

Part of the transaction that gives it, with what the caller may do by then.
"""

from collections.abc import Callable, Iterable
from functools import cache

from postroom.app.auth.permissions import IdScope
from postroom.app.errors import InvalidError
from postroom.app.transactions import authority
from postroom.app.transactions.authority import Actor
from postroom.schemas.addresses import domain_part
from postroom.schemas.values.text import fold
from postroom.storage import domains
from postroom.storage.sqlite import sqlite3

#: Whether a user may be given a name.
MayHave = Callable[[str], bool]


def may_have(connection: sqlite3.Connection, own: str, actor: Actor) -> MayHave:
    """Tells of a name whether the actor may give it to a user of the domain called `own`.

    In that very domain they may, or would not be here; in another one when it is of the same organisation, and they
    may write there. A name without a domain is of no domain.
    """

    @cache
    def writes() -> IdScope:
        return authority.grants_of(connection, actor).write

    @cache
    def is_within(name: str) -> bool:
        one, other = (domains.find_domain_by_name(connection, each) for each in (own, name))
        return one is not None and other is not None and one.is_sibling_of(other) and other.id in writes()

    def answer(name: str) -> bool:
        part = domain_part(name)
        return part is None or part == own or is_within(part)

    return answer


def check_names(field: str, names: Iterable[str], known: Iterable[str], allowed: MayHave) -> None:
    """Raises InvalidError naming the first name that the caller may not give. What the user has may stay.

    Asked before anything else of the names: whether one in somebody else's domain is in use is not told.
    """
    kept = {fold(name) for name in known}
    for name in names:
        if fold(name) not in kept and not allowed(name):
            raise InvalidError.field(field, f"{name} is not in a domain of this organisation that you may change.")
