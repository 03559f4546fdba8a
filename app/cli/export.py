"""The command `postroom export`, which writes what is stored into files."""

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from postroom.app.config import Config
    from postroom.storage.progress import Report

Record = tuple[str, dict[str, Any]]

#: Records between two looks at how far it is.
_SHOWN: Final = 1000

HELP = """Write everything into files, from which `postroom import` makes the same again.

Without --format csv it is one file of lines (NDJSON), or the standard output: each line is one organisation, domain,
role, user or token with everything that belongs to it, or the settings for all. CSV is a folder with a table for each.

Hashes of passwords, fetchmail entries with their passwords, tokens, and passwords of directories come only with
--secrets. Logins, tasks and the record of changes are not exported; `postroom backup` keeps those, too.

Everything is as of one moment. The service may run meanwhile, and nobody waits.

--seed writes a seed, with which a server of a test can begin (docs/testing.md): one JSON document, without IDs.

\b
Examples:
  postroom export people.ndjson --secrets
  postroom export --format csv people
  postroom export | grep '"user"' | wc -l
  postroom export --seed > seed.json
\b
Exit codes:
  0    done
  2    wrong usage or settings, or refused; trying again does not help
  3    the database is unavailable; trying again may help
  130  interrupted; nothing is left"""


def export(
    target: Annotated[
        Path | None, typer.Argument(metavar="TARGET", help="File or folder, which is made.", show_default=False)
    ] = None,
    *,
    form: Annotated[Literal["ndjson", "csv"], typer.Option("--format", help="Lines or tables.")] = "ndjson",
    seed: Annotated[bool, typer.Option("--seed", help="As a seed for tests.")] = False,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="With hashes of passwords, fetchmail entries with theirs, and tokens.")
    ] = False,
    database: output.Database = None,
) -> None:
    """Writes the files."""
    if form == "csv" and (target is None or seed):
        output.fail("Name the folder for the tables: postroom export --format csv FOLDER", output.REFUSED)
    # Imported here, so that --help and wrong options respond at once.
    from postroom.app.config import SettingError
    from postroom.app.exchange.records import UnreadableFileError
    from postroom.storage.faults import DatabaseError, EngineError, is_unavailable
    from postroom.storage.keyring import KeyFileError

    if threading.current_thread() is threading.main_thread():
        # As Ctrl-C, so that nothing is left.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _write(configured.load({"database": database}), target, "seed" if seed else form, secrets=secrets)
    except KeyboardInterrupt:
        output.fail("Interrupted", output.INTERRUPTED)
    except BrokenPipeError:
        raise  # the reader of the pipe has gone; typer handles this
    except (SettingError, UnreadableFileError) as error:
        output.fail(str(error), output.REFUSED)
    except (DatabaseError, EngineError, KeyFileError) as error:
        output.fail(str(error), output.code_of(error))
    except OSError as error:
        output.fail(f"Cannot write {target or 'the output'}: {error.strerror}", output.REFUSED)
    except Exception as error:
        if not is_unavailable(error):
            raise
        output.fail(str(error), output.AWAY)


def _write(config: "Config", target: Path | None, form: str, *, secrets: bool) -> None:
    from contextlib import nullcontext

    import orjson

    from postroom.app.clock import Clock
    from postroom.app.exchange.exporting import new_file, new_folder, write_lines, write_tables
    from postroom.storage import sealed
    from postroom.storage.reading import reading
    from postroom.storage.seed_extent import Extent
    from postroom.storage.seeds import count_records, list_records, read_seed

    extent = Extent(Clock().local(config.timezone), secrets, exact=form != "seed")
    with reading(config.database, config.key_file) as connection, output.progress() as report:
        if secrets:
            sealed.check(connection, config.database)
        records = _counted(list_records(connection, extent), count_records(connection), report)
        if form == "csv" and target is not None:
            with new_folder(target) as folder:
                write_tables(records, folder)
            return
        with new_file(target) if target is not None else nullcontext(sys.stdout.buffer) as stream:
            if form == "seed":
                found = read_seed(connection, extent)
                stream.write(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            else:
                write_lines(records, stream)


def _counted(records: "Iterable[Record]", total: int, report: "Report") -> "Iterator[Record]":
    for done, record in enumerate(records):
        if done % _SHOWN == 0:
            report("records", done, total)
        yield record
