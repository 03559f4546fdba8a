"""What `postroom backup` and `postroom restore` print."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from postroom.app.cli import output

if TYPE_CHECKING:
    from postroom.storage.backups.folder import Backup
    from postroom.storage.backups.manifest import Manifest
    from postroom.storage.backups.restoring import Restored
    from postroom.storage.backups.taking import Taken
    from postroom.storage.backups.verifying import Verified


def show_taken(taken: "Taken", removed: Sequence[Path], keys: str, *, with_key: bool, json: bool) -> None:
    """The result on stdout; what is left to do on stderr."""
    manifest = taken.manifest
    message = f"{taken.path}: {_of(manifest)}, {_size(manifest.size)}"
    data = {"file": str(taken.path), **asdict(manifest), "removed": [str(path) for path in removed]}
    _show(message, data, json=json)
    if not json:
        for path in removed:
            print(f"Removed {path}")
    if with_key:
        typer.echo("The key of the secrets stands beside it: whoever has both can read them.", err=True)
    else:
        typer.echo(f"The secrets in it need the key file {keys}: keep a copy of that elsewhere.", err=True)


def show_list(backups: Sequence["Backup"], *, json: bool) -> None:
    """A line for each backup."""
    if json:
        data = [
            {"file": str(each.path), **({} if each.manifest is None else asdict(each.manifest)), "fault": each.fault}
            for each in backups
        ]
        output.print_json(f"Backups: {len(data)}", data)
        return
    table = output.new_table("TIME (UTC)", "USERS", "SIZE", "FILE")
    table.columns[1].justify = table.columns[2].justify = "right"
    for each in backups:
        found, name = each.manifest, f"{each.path.name} - DAMAGED: {each.fault}" if each.fault else each.path.name
        if found is None:
            table.add_row("", "", "", name)
        else:
            when = found.time.replace("T", " ").removesuffix("Z")
            table.add_row(when, f"{found.users:,}", _size(found.size), name)
    if backups:
        output.console().print(table)
    else:
        print("There are no backups.")


def show_verified(file: Path, verified: "Verified", *, json: bool) -> None:
    """That it is fine."""
    message = f"{file} can be restored: {_of(verified.manifest)}"
    data = {**asdict(verified.manifest), "secretsOpen": not verified.locked}
    _show(message, data, json=json)
    if verified.locked:
        typer.echo(f"Its secrets cannot be read with the present key file: {verified.locked}", err=True)


def show_restored(backup: str, database: str, restored: "Restored", *, json: bool, time: str | None) -> None:
    """The result on stdout; what somebody has to know on stderr."""
    message = f"{backup} is restored to {database}: {restored.users:,} users"
    if time is not None:
        message += f", as of {time}"
    data = {
        "file": backup,
        "time": time,
        "database": database,
        "schema": restored.schema,
        "users": restored.users,
        "kept": None if restored.kept is None else str(restored.kept),
        "interruptedTasks": restored.settled.tasks,
        "revokedTokens": restored.settled.tokens,
        "pendingWipes": restored.settled.wipes,
        "keyRestored": restored.key_restored,
    }
    _show(message, data, json=json)
    for line in _notes(restored):
        typer.echo(line, err=True)


def _notes(restored: "Restored") -> Iterator[str]:
    if restored.kept is not None:
        yield f"The database from before is kept. To go back: postroom restore {restored.kept} --unchecked"
        if not restored.ids_kept:
            yield "It is damaged, so IDs that it gave after the backup may be given again."
    if restored.key_restored:
        yield "The key file was missing, and was restored from the copy beside the backup."
    if restored.is_older:
        yield f"It is of an older version (schema {restored.schema}); the next start brings it up to date."
    yield "Everybody has to log in again. Passwords are those of the time of the backup."
    if restored.settled.tokens:
        yield (
            f"Tokens for programs that may have been revoked since, and are revoked now: {restored.settled.tokens}. "
            "A restore with --keep-tokens keeps them."
        )
    if restored.settled.tasks:
        yield f"Tasks that were waiting or running then are marked as interrupted: {restored.settled.tasks}"
    if restored.settled.wipes:
        yield f"Devices that will be wiped at their next contact, as requested then: {restored.settled.wipes}"


def _of(manifest: "Manifest") -> str:
    return f"{manifest.users:,} users, as of {manifest.time.replace('T', ' ').replace('Z', ' UTC')}"


def _size(size: int) -> str:
    return f"{size / 1024**2:,.1f} MiB"


def _show(message: str, data: Mapping[str, object], *, json: bool) -> None:
    if json:
        output.print_json(message, data)
    else:
        print(message)
