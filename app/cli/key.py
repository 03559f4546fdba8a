"""The commands `postroom key ...`: the key of the stored secrets."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from postroom.storage.database import Database

_CODES = """
\b
Exit codes:
  0    done
  2    wrong usage or settings, or refused; trying again does not help
  3    the database is away; trying again may help
  130  answered with no"""

_HELP = """The key of the secrets in the database: passwords of directories and of accounts
elsewhere, and the key that signs tokens.

It lies in a file beside the database, or in POSTROOM_KEY_FILE.

\b
Examples:
  postroom key rotate          encrypt everything with a new key
  postroom key reset           the key file is lost: forget what cannot be read any more
"""

_ROTATE_HELP = f"""Encrypt every stored secret with a new key, also while the service runs.

The old key is removed from the file at the end: an older copy of the database needs the key file of its time.
Interrupted at any moment, everything can still be read, and the command may be given again.

With --tokens there is a new key that signs tokens as well, which ends every login.

\b
Examples:
  postroom key rotate
  postroom key rotate --tokens --database /var/lib/postroom/postroom.sqlite3
{_CODES}
"""

_RESET_HELP = f"""Forget the secrets that cannot be read, because the key file is lost.

Put the key file back from your backup instead if you can. Otherwise there is a new key afterwards, every login ends,
directories are asked nothing until their configuration is stored again with its password, and fetchmail entries are
inactive until they get a password. Whatever can still be read is kept.

\b
Examples:
  postroom key reset
  postroom key reset --yes --database /var/lib/postroom/postroom.sqlite3
{_CODES}
"""

app = typer.Typer(name="key", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_Database = Annotated[str | None, typer.Option("--database", metavar="FILE", help="SQLite file [postroom.sqlite3].")]

_REFUSED, _AWAY, _DECLINED = 2, 3, 130
_NAMES = {"settings": "the key that signs tokens", "ldap_configs": "passwords of directories: {count}",
          "fetchmail": "passwords of fetchmail entries: {count}"}  # fmt: skip


@app.command("rotate", help=_ROTATE_HELP)
def rotate(
    tokens: Annotated[bool, typer.Option("--tokens", help="A new key for tokens, too: every login ends.")] = False,
    database: _Database = None,
) -> None:
    """Exchanges the key."""
    # Imported here and below, so that --help and mistakes in options answer at once.
    from functools import partial

    from postroom.storage import sealed

    async def work(opened: "Database", _path: str) -> str:
        count = await opened.write(partial(sealed.rotate, tokens=tokens))
        await opened.write(sealed.drop_old_keys)
        return f"Secrets that are encrypted with a new key: {count}. Keep a copy of the key file."

    _run(work, database, unlock=True)


@app.command("reset", help=_RESET_HELP)
def reset(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    database: _Database = None,
) -> None:
    """Forgets what cannot be read."""
    from postroom.storage import sealed

    if not yes:
        try:
            agreed = typer.confirm("Forget every secret that cannot be read with the key file?", err=True)
        except typer.Abort:
            agreed = False
        if not agreed:
            raise typer.Exit(_DECLINED)

    async def work(opened: "Database", path: str) -> str:
        forgotten = await opened.write(sealed.reset, path)
        told = [_NAMES[table].format(count=count) for table, count in forgotten.items()]
        return f"Forgotten: {', '.join(told) or 'nothing'}. Keep a copy of the key file."

    _run(work, database, unlock=False)


def _run(work: Callable[["Database", str], Awaitable[str]], database: str | None, *, unlock: bool) -> None:
    """Does it on the open database, and prints what it answers or, in one line, what is wrong."""
    import asyncio

    from postroom.app.config import SettingError, load_config
    from postroom.storage.database import Database
    from postroom.storage.faults import DatabaseError, NoDatabaseError, WrongDatabaseError
    from postroom.storage.keyring import KeyFileError, UnreadableSecretError
    from postroom.storage.sqlite import sqlite3

    async def run() -> str:
        config = load_config({"database": database})
        opened = await Database.open(config.database, create=False, key_file=config.key_file, unlock=unlock)
        try:
            return await work(opened, config.database)
        finally:
            await opened.close()

    try:
        typer.echo(asyncio.run(run()))
    except (DatabaseError, KeyFileError, SettingError, UnreadableSecretError, sqlite3.Error) as error:
        away = isinstance(error, (DatabaseError, sqlite3.Error))
        typer.echo(f"postroom: {error}", err=True)
        refused = isinstance(error, (NoDatabaseError, WrongDatabaseError)) or not away
        sys.exit(_REFUSED if refused else _AWAY)
