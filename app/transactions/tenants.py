"""Separates tenants: decides in which domains an actor may give a user a new name.

The check is part of the transaction that gives the name, and uses the actor's permissions at that moment.
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
from postroom.storage.engine import Connection

#: Tells whether a user may get a name.
MayHave = Callable[[str], bool]


def may_have(connection: Connection, own: str, actor: Actor) -> MayHave:
    """A function that tells whether the actor may give a name to a user of the domain called `own`.

    Names in that domain are allowed, because the guard has checked it. Names in another domain are allowed if it
    belongs to the same organisation and the actor may write there. Names without a domain are always allowed.
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
    """Raises InvalidError, which has the first name that the actor may not give. The user may keep known names.

    Run this before all other checks of the names: nobody may learn whether a name in a foreign domain is in use.
    """
    kept = {fold(name) for name in known}
    for name in names:
        if fold(name) not in kept and not allowed(name):
            raise InvalidError.field(field, f"{name} is not in a domain of this organisation that you may change.")
