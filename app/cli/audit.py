"""The command `postroom audit`, which shows the record of changes."""

import json as json_module
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.app.cli import configured, output
from postroom.schemas.values.audit import KINDS, MEANS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from postroom.storage.database import Database

HELP = """Show what was changed, when, by whom and by what means: the latest first.

Reads the database directly, also while the service runs. Times are in POSTROOM_TIMEZONE unless they have an offset.

\b
Examples:
  postroom audit                                        the latest changes
  postroom audit --name anna@example.org                everything that was done to a user
  postroom audit --actor admin --from 2026-11-30        what somebody has changed
  postroom audit --means command --limit 1000
  postroom audit --request 66799454c552-4               what a request of the log has changed
  postroom audit --json --limit 100000 >audit.ndjson    a line for each change

\b
Exit codes:
  0    fine, also if nothing was found
  2    wrong usage or settings, or no such database; trying again does not help
  3    the database is unavailable; trying again may help"""

#: Rows that are read, and shown, together.
_PIECE = 1000


def audit(
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only from this time on.")] = None,
    end: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only before this time.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this user has changed: username or ID.")] = None,
    means: Annotated[str | None, typer.Option(help=f"{', '.join(MEANS)}.")] = None,
    operation: Annotated[str | None, typer.Option(help="Only by this operation, such as patchUser.")] = None,
    kind: Annotated[str | None, typer.Option(help=f"{', '.join(KINDS)}.")] = None,
    object_id: Annotated[str | None, typer.Option("--id", help="Only the object with this ID; needs --kind.")] = None,
    name: Annotated[str | None, typer.Option(help="Only objects that have this name now, or had it.")] = None,
    domain: Annotated[
        str | None, typer.Option(metavar="ID", help="Only what belongs to the domain with this ID.")
    ] = None,
    request: Annotated[str | None, typer.Option(metavar="ID", help="Only what this request has changed.")] = None,
    limit: Annotated[str, typer.Option(help="Most changes.")] = "50",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for each change, one a line.")] = False,
    database: output.Database = None,
) -> None:
    """Shows the record."""
    # Imported here, so that --help and wrong options respond at once.
    import asyncio

    from postroom.app.config import SettingError
    from postroom.app.errors import InvalidError
    from postroom.storage.database import Database
    from postroom.storage.faults import DatabaseError, is_unavailable

    asked = {
        "startTime": begin, "endTime": end, "actor": actor, "means": means, "operation": operation, "kind": kind,
        "objectID": object_id, "name": name, "domainID": domain, "requestID": request, "limit": limit,
    }  # fmt: skip

    async def run() -> None:
        config = configured.load({"database": database})
        query = _query(asked, config.timezone)
        opened = await Database.open(config.database, create=False, key_file=config.key_file, unlock=False)
        try:
            await _show(opened, query, as_json=json)
        finally:
            await opened.close()

    try:
        asyncio.run(run())
    except (InvalidError, SettingError) as error:
        output.fail(str(error), output.REFUSED)
    except Exception as error:
        if not isinstance(error, DatabaseError) and not is_unavailable(error):
            raise
        output.fail(str(error), output.code_of(error))


def _query(asked: dict[str, str | None], timezone: Any) -> Any:
    from postroom.app.web.inputs import load
    from postroom.schemas.audit import AuditQuerySchema, read_query

    data = load(AuditQuerySchema(), {option: value for option, value in asked.items() if value is not None})
    return read_query(data, timezone, data["limit"])


async def _show(database: "Database", query: Any, *, as_json: bool) -> None:
    from postroom.schemas.values.audit import AuditScope
    from postroom.storage.audit.rows import document, select_pieces

    async for piece in select_pieces(database, query, AuditScope(everything=True), _PIECE, caller=None):
        if as_json:
            import orjson

            for row in piece:
                sys.stdout.write(orjson.dumps(document(row)).decode() + "\n")
        else:
            _show_table(map(document, piece))


def _show_table(rows: "Iterable[dict[str, Any]]") -> None:
    import orjson

    from postroom.schemas.values.text import printable

    table = output.new_table("TIME", "WHO", "BY", "OPERATION", "OBJECT", "CHANGES")
    for row in rows:
        who = " ".join(part for part in (row["actor"], row["token"]) if part) or "-"
        about = f"{row['action']} {row['kind']} {row['name'] or row['objectID']}"
        changes = orjson.loads(orjson.dumps(row["changes"]))
        texts = [f"{field}: {_text(before)} -> {_text(after)}" for field, (before, after) in changes.items()]
        cells = (
            row["time"][:19] + "Z",
            who,
            f"{row['means']} {row['source']}",
            row["operation"] or "-",
            about,
            ", ".join(texts),
        )
        table.add_row(*map(printable, cells))
    if table.row_count:
        output.console().print(table)


def _text(value: object) -> str:
    return "-" if value is None else value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)
