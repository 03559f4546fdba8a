"""The commands `postroom key ...`, which replace the key of the stored secrets."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from postroom.storage.database import Database

_CODES = """
\b
Exit codes:
  0    done
  2    wrong usage or settings, or refused; trying again does not help
  3    the database is unavailable; trying again may help
  130  answered with no"""

_HELP = """Replace the key that encrypts the secrets in the database: passwords of directories and
of accounts elsewhere, and the key that signs tokens.

The key is in a file beside the database, or in POSTROOM_KEY_FILE.

\b
Examples:
  postroom key rotate          encrypt everything with a new key
  postroom key reset           the key file is lost: delete the secrets that cannot be read any more
"""

_ROTATE_HELP = f"""Encrypt every stored secret with a new key, also while the service runs.

At the end the old key is removed from the file: an older copy of the database needs the key file of its time.
If the command is interrupted, everything can still be read. Run it again.

With --tokens, the key that signs tokens is replaced as well, which ends every login.

\b
Examples:
  postroom key rotate
  postroom key rotate --tokens --database /var/lib/postroom/postroom.sqlite3
{_CODES}
"""

_RESET_HELP = f"""Delete the secrets that cannot be read because the key file is lost.

If you can, restore the key file from your backup instead. This command makes a new key and ends every login. A
directory is not used until its configuration is stored again with its password. Fetchmail entries are inactive until
they get a password. Secrets that can still be read are kept.

\b
Examples:
  postroom key reset
  postroom key reset --yes --database /var/lib/postroom/postroom.sqlite3
{_CODES}
"""

app = typer.Typer(name="key", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_NAMES = {"settings": "the key that signs tokens", "ldap_configs": "passwords of directories: {count}",
          "fetchmail": "passwords of fetchmail entries: {count}"}  # fmt: skip


@app.command("rotate", help=_ROTATE_HELP)
def rotate(
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Also replace the key for tokens, which ends every login.")
    ] = False,
    database: output.Database = None,
) -> None:
    """Replaces the key."""
    # Imported here and below, so that --help and wrong options respond at once.
    from functools import partial

    from postroom.storage import sealed

    async def work(opened: "Database", _path: str) -> str:
        count = await opened.write_once(partial(sealed.rotate, tokens=tokens))
        await opened.write_once(sealed.drop_old_keys)
        return f"Secrets encrypted with the new key: {count}. Keep a copy of the key file."

    _run(work, database, unlock=True)


@app.command("reset", help=_RESET_HELP)
def reset(
    yes: output.Yes = False,
    database: output.Database = None,
) -> None:
    """Deletes the secrets that cannot be read."""
    from postroom.storage import sealed

    if not yes and not output.agreed("Delete every secret that cannot be read with the key file?"):
        raise typer.Exit(output.INTERRUPTED)

    async def work(opened: "Database", path: str) -> str:
        forgotten = await opened.write_once(sealed.reset, path)
        told = [_NAMES[table].format(count=count) for table, count in forgotten.items()]
        return f"Deleted: {', '.join(told) or 'nothing'}. Keep a copy of the key file."

    _run(work, database, unlock=False)


def _run(work: Callable[["Database", str], Awaitable[str]], database: str | None, *, unlock: bool) -> None:
    """Opens the database, runs `work`, and prints its result or, in one line, the error."""
    import asyncio

    from postroom.app.config import SettingError
    from postroom.storage.database import Database
    from postroom.storage.faults import DatabaseError, EngineError
    from postroom.storage.keyring import KeyFileError, UnreadableSecretError
    from postroom.storage.urls import shown

    async def run() -> str:
        config = configured.load({"database": database})
        opened = await Database.open(config.database, create=False, key_file=config.key_file, unlock=unlock)
        try:
            return await work(opened, shown(config.database))
        finally:
            await opened.close()

    try:
        typer.echo(asyncio.run(run()))
    except (DatabaseError, KeyFileError, SettingError, UnreadableSecretError, EngineError) as error:
        away = isinstance(error, (DatabaseError, EngineError))
        output.fail(str(error), output.code_of(error) if away else output.REFUSED)
