"""Protects users from callers with fewer permissions.

A caller may not change the name, link, password or status of a user with more permissions, nor delete them. Otherwise
the caller could log in as that user or lock them out. The check runs inside the transaction of the change, because
roles may have changed since the request began. The user's roles count whatever their status: a suspended administrator
regains their permissions as soon as the status changes.
"""

from collections.abc import Iterable
from dataclasses import astuple

from postroom.app.auth.permissions import ADMINISTRATOR, Grants, IdScope, Permission, covers, grants, outside
from postroom.app.auth.tokens import ADMIN_ID, Caller, grants_now, make_caller
from postroom.app.errors import ForbiddenError
from postroom.storage import auth, domains, role_holders
from postroom.storage.auth import Account
from postroom.storage.engine import Connection

#: Who makes a change: a user, perhaps by a token. None: the owner of the machine, who uses the command line.
Actor = Caller | None


def user_id_of(actor: Actor) -> int | None:
    """The ID of the user; None for the owner of the machine."""
    return None if actor is None else actor.user_id


def grants_of(connection: Connection, actor: Actor) -> Grants:
    """The actor's current permissions; none for a user who may no longer log in, or by a token that is gone."""
    # No look-up is needed: the administrator can be neither suspended nor deleted.
    if actor is None or (actor.user_id == ADMIN_ID and actor.token is None):
        return ADMINISTRATOR
    return grants_now(connection, actor)


def reaches(connection: Connection, own: Grants, user_id: int) -> bool:
    """Whether these grants include the user's domain and everything that the user may do."""
    if own.system_write:
        return True
    account = auth.find_account(connection, user_id)
    return account is not None and account.domain_id in own.write and _covers(own, account)


def may_change(connection: Connection, actor: Actor, user_id: int) -> bool:
    """Whether the actor may change the user's identity."""
    return reaches(connection, grants_of(connection, actor), user_id)


def check_may_change(connection: Connection, actor: Actor, user_id: int, username: str, deed: str) -> None:
    """Raises ForbiddenError unless the actor may change the user's identity. `deed` is, say, "delete them"."""
    if not may_change(connection, actor, user_id):
        raise refusal(username, deed)


def check_may_set_password(connection: Connection, actor: Actor, account: Account) -> None:
    """Like check_may_change, for a password. An actor with ResetPasswd may set passwords in every domain."""
    own = grants_of(connection, actor)
    if not own.reset_passwords:
        _check_within(own.write, [account.domain_id])
    if not _covers(own, account):
        raise refusal(account.username, "set their password")


def check_may_write(connection: Connection, actor: Actor, domain_ids: Iterable[int]) -> None:
    """Raises ForbiddenError unless the actor still administers all of these domains."""
    _check_within(grants_of(connection, actor).write, domain_ids)


def check_may_give_hashes(connection: Connection, actor: Actor, domain_id: int) -> None:
    """Raises ForbiddenError unless the actor administers the organisation of the domain, or the system."""
    if domain_id not in grants_of(connection, actor).org_admin_domains:
        raise ForbiddenError("Only administrators of the organisation may give the hash of a password")


def check_may_close(connection: Connection, actor: Actor, domain_id: int, *, purge: bool = False) -> None:
    """Raises ForbiddenError unless the actor may remove a domain or change its status, which affects all its users.

    Permissions for that domain do not protect its users, because the actor may end them with the domain.
    """
    own = grants_of(connection, actor)
    _check_within(own.purge if purge else own.org_admin_domains, [domain_id])
    if own.system_write:
        return
    domains_of_org: dict[int, list[int]] = {}
    for row in domains.list_domains(connection):
        if row.org_id is not None:
            domains_of_org.setdefault(row.org_id, []).append(row.id)
    # By role, not by user: many people have few roles.
    for username, held in role_holders.list_held_in(connection, domain_id):
        allowed = grants([Permission(*astuple(row)) for row in held], domains_of_org)
        if not covers(own, outside(allowed, domain_id)):
            # An actor who may purge the domain may not be allowed to see its users.
            who = username if domain_id in own.read else "everybody in this domain"
            raise refusal(who, "change the status of this domain or remove it")


def refusal(username: str, deed: str) -> ForbiddenError:
    """The error for a change to a user with more permissions."""
    return ForbiddenError(f"You need at least the permissions of {username} to {deed}")


def _covers(own: Grants, account: Account) -> bool:
    return own != Grants() and covers(own, make_caller(account).grants)


def _check_within(scope: IdScope, domain_ids: Iterable[int | None]) -> None:
    if any(domain_id not in scope for domain_id in domain_ids):
        raise ForbiddenError("You do not have the permission for this")
