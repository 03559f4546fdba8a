"""The administrator's generated first password, kept in a file when there is no terminal to show it on."""

import asyncio
from pathlib import Path

from postroom.app.auth.tokens import ADMIN_ID
from postroom.storage import auth
from postroom.storage.database import Database
from postroom.storage.files import write_private


class FirstPassword:
    """A file beside the database that only its owner can read. It is removed when the password changes."""

    def __init__(self, database: Database, path: str) -> None:
        self._database = database
        self.path = Path(f"{Path(path).absolute()}.password") if path != ":memory:" else None
        self._generation: int | None = None

    def keep(self, password: str) -> None:
        """Writes the file, and replaces one that an older database has left. Raises OSError."""
        if self.path is not None:
            database = self.path.with_suffix("")
            write_private(self.path, f"{password}\n".encode(), owner_of=database, replace=True)

    def forget(self) -> None:
        """Removes the file if it exists."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    async def forget_when_changed(self) -> None:
        """Removes the file when the administrator's password is no longer the first one."""
        generation = self._database.generation.value
        if self.path is None or generation == self._generation:
            return
        if not await asyncio.to_thread(self.path.exists):
            self._generation = generation
            return
        account = await auth.select_account(self._database, ADMIN_ID)
        # A new password increases the epoch.
        if account is None or account.token_epoch > 0:
            await asyncio.to_thread(self.forget)
        self._generation = generation
