"""What a new store begins with: the administrator, the first domain, and a directory."""

from collections.abc import Mapping
from typing import Any

from postroom.app.auth.passwords import check_new_password
from postroom.app.config import Config
from postroom.app.services.context import Context
from postroom.app.transactions.domains import create_domain
from postroom.storage import auth
from postroom.storage.engine import Connection


async def furnish(context: Context, password: str, domain: Mapping[str, Any], directory: dict[str, Any] | None) -> None:
    """Makes `admin` with this password, a domain from a loaded DomainCreateSchema, and stores a loaded `ldapConfig`
    after a test of its directory. Raises InvalidError, MisconfiguredError.
    """
    if directory is not None:
        await context.directories.configure(None, directory, force=False)
    await context.database.write(_furnish, await context.passwords.hash(password), domain)


def _furnish(connection: Connection, hashed: str, domain: Mapping[str, Any]) -> None:
    auth.ensure_administrator(connection, hashed)
    create_domain(connection, domain, create_role=False)


def checked_password(password: str) -> str:
    """The password if a service with default settings takes it as a new one. Raises InvalidError."""
    return check_new_password(password, Config().password_min_length, "password")
