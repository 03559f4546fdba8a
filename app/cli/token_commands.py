"""Runs the commands `postroom token ...` and returns their exit codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer
from rich.text import Text

from postroom.app.cli.ldap_commands import run
from postroom.app.cli.ldap_views import View
from postroom.app.cli.output import FINE, console, new_table, print_json
from postroom.app.errors import NotFoundError
from postroom.app.services import api_tokens
from postroom.app.services.context import Context, time_in
from postroom.app.services.ldap_targets import target_named
from postroom.app.web.inputs import load
from postroom.schemas.roles import EVERYTHING
from postroom.schemas.tokens import TokenCreateSchema
from postroom.schemas.values.text import printable
from postroom.storage.auth import select_login


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `create`."""

    name: str
    owner: str
    permissions: Sequence[str]
    networks: Sequence[str]
    read_only: bool
    days: int | None
    never: bool


def create(wanted: Wanted, database: str | None, *, json: bool) -> int:
    """Makes a token and prints it."""

    async def command(context: Context, _view: View) -> int:
        owner_id = await _user_id(context, wanted.owner)
        given: dict[str, Any] = {
            "name": wanted.name,
            "networks": list(wanted.networks),
            "readOnly": wanted.read_only,
        }
        if wanted.permissions:
            given["permissions"] = [await _permission(context, each) for each in wanted.permissions]
        if wanted.never:
            given["expires"] = None
        elif wanted.days is not None:
            # A minute less, so that ten years are not more than ten years.
            seconds = context.clock.unix() + wanted.days * 24 * 3600 - 60
            given["expires"] = time_in(context.config.timezone, seconds)
        made = await api_tokens.create_token(context, load(TokenCreateSchema(), given), owner_id, None)
        message = f"Token {made['ID']} of {wanted.owner}; expires: {made['expires'] or 'never'}. It is shown this once."
        if json:
            print_json(message, made)
        else:
            typer.echo(made["token"])
            typer.echo(message, err=True)
        return FINE

    return run(command, database, json=json)


def show(owner: str | None, database: str | None, *, json: bool) -> int:
    """Prints the tokens, or those of one owner."""

    async def command(context: Context, _view: View) -> int:
        owner_id = None if owner is None else await _user_id(context, owner)
        found = await api_tokens.all_tokens(context, owner_id)
        if json:
            print_json(f"Tokens: {len(found)}", found)
        else:
            _print(found)
        return FINE

    return run(command, database, json=json)


def revoke(token_ids: Sequence[int], database: str | None) -> int:
    """Revokes tokens, each by itself."""

    async def command(context: Context, _view: View) -> int:
        for token_id in token_ids:
            typer.echo(printable(await api_tokens.revoke_token(context, token_id, None)))
        return FINE

    return run(command, database)


async def _user_id(context: Context, name: str) -> int:
    account = await select_login(context.database, name)
    if account is None:
        raise NotFoundError.of("user", repr(name[:100]))
    return account.id


async def _permission(context: Context, text: str) -> dict[str, Any]:
    """A permission in the format of the API: `DomainAdmin:example.com`, `OrgAdmin:Example Ltd`, `ResetPasswd`."""
    name, _, where = text.partition(":")
    params: int | str | None = None
    if where == EVERYTHING:
        params = EVERYTHING
    elif where.isascii() and where.isdigit():
        params = int(where)
    elif where:
        is_org = name == "OrgAdmin"
        target = await target_named(context, None if is_org else where, where if is_org else None)
        params = target.org_id if is_org else target.domain_id
    return {"permission": name, "params": params}


def _print(found: Sequence[dict[str, Any]]) -> None:
    table = new_table("ID", "NAME", "OWNER", "LIMITED TO", "FROM", "EXPIRES", "LAST USED")
    for each in found:
        used = f"{each['lastUsed']} {each['lastSource'] or ''}" if each["lastUsed"] else "never"
        cells = (
            str(each["ID"]), each["name"], each["owner"]["username"], _limits(each),
            " ".join(each["networks"]) or "anywhere", each["expires"] or "never", used,
        )  # fmt: skip
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console().print(table)


def _limits(token: dict[str, Any]) -> str:
    """What a token may do, in the words of --permission."""
    if token["permissions"] is None:
        scope = "all of its owner"
    else:
        parts = [
            each["permission"] if each["params"] is None else f"{each['permission']}:{each['params']}"
            for each in token["permissions"]
        ]
        scope = " ".join(parts) or "nothing any more"
    return f"{scope}, reading only" if token["readOnly"] else scope
