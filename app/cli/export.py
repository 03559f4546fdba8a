"""The command `postroom export`, which writes what is stored as a file."""

import sys
from typing import Annotated

import typer

from postroom.app.cli import configured, output

HELP = """Write what is stored as a seed, with which a server of a test can begin, to standard output.

A seed is JSON with organisations, domains, roles and users with everything that belongs to them; docs/testing.md
describes it. It has no passwords and no tokens unless --secrets is given. It is meant for small databases:
everything is held in memory, and nobody else can write meanwhile.

\b
Examples:
  postroom export --seed > seed.json
  postroom export --seed --secrets --database /var/lib/postroom/postroom.sqlite3 > seed.json
\b
Exit codes:
  0    done
  2    wrong usage or settings, or refused; trying again does not help
  3    the database is unavailable; trying again may help"""


def export(
    *,
    seed: Annotated[bool, typer.Option("--seed", help="As a seed; there is no other form.")] = False,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="With hashes of passwords, fetchmail entries with theirs, and tokens.")
    ] = False,
    database: output.Database = None,
) -> None:
    """Prints the seed."""
    if not seed:
        output.fail("Say in which form: postroom export --seed", output.REFUSED)
    # Imported here, so that --help and wrong options respond at once.
    import asyncio
    from functools import partial

    import orjson

    from postroom.app.clock import Clock
    from postroom.app.config import SettingError
    from postroom.storage.database import Database
    from postroom.storage.faults import DatabaseError, EngineError
    from postroom.storage.keyring import KeyFileError
    from postroom.storage.seeds import read_seed

    async def run() -> bytes:
        config = configured.load({"database": database})
        now = Clock().local(config.timezone)
        opened = await Database.open(config.database, create=False, key_file=config.key_file, unlock=secrets)
        try:
            # On the writer, because several statements have to see one state.
            found = await opened.write(partial(read_seed, now=now, secrets=secrets))
            return orjson.dumps(found, option=orjson.OPT_INDENT_2)
        finally:
            await opened.close()

    try:
        found = asyncio.run(run())
    except SettingError as error:
        output.fail(str(error), output.REFUSED)
    except (DatabaseError, EngineError, KeyFileError) as error:
        output.fail(str(error), output.code_of(error))
    sys.stdout.write(found.decode() + "\n")
