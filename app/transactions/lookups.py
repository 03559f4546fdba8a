"""Look-ups that raise an error if the row does not exist or does not fit."""

from postroom.app.errors import InvalidError, NotFoundError
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage import domains, users
from postroom.storage.domains import DomainRow
from postroom.storage.engine import Connection
from postroom.storage.users import UserRow


def find_user_or_raise(connection: Connection, domain_id: int, user_id: int) -> UserRow:
    """The user of the domain in the path. Raises NotFoundError."""
    user = users.find_user(connection, domain_id, user_id)
    if user is None:
        raise user_not_found(domain_id, user_id)
    return user


def find_user_and_domain_or_raise(connection: Connection, domain_id: int, user_id: int) -> tuple[UserRow, DomainRow]:
    """The user of the domain in the path, with the domain. Raises NotFoundError."""
    found = users.find_user_and_domain(connection, domain_id, user_id)
    if found is None:
        raise user_not_found(domain_id, user_id)
    return found


def find_mailbox_or_raise(connection: Connection, domain_id: int, user_id: int) -> UserRow:
    """A user with a store. Raises NotFoundError, InvalidError (a contact)."""
    user = find_user_or_raise(connection, domain_id, user_id)
    if user.status == STATUS_CONTACT:
        raise no_store(user_id)
    return user


def no_store(user_id: int) -> InvalidError:
    """The error for a contact, which has no store."""
    return InvalidError(f"User {user_id} is a contact, which has no store")


def user_not_found(domain_id: int, user_id: int) -> NotFoundError:
    """The error for a user who is not in the domain of the path."""
    return NotFoundError(f"There is no user {user_id} in domain {domain_id}")


def username_not_found(username: str) -> NotFoundError:
    """The error for a name that no user has."""
    return NotFoundError.of("user", repr(username[:100]))


def find_domain_or_raise(connection: Connection, domain_id: int) -> DomainRow:
    """The domain. Raises NotFoundError."""
    domain = domains.find_domain(connection, domain_id)
    if domain is None:
        raise NotFoundError.of("domain", domain_id)
    return domain
