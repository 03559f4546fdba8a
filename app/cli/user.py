"""The commands `postroom user ...`."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from postroom.app.cli import output, user_fields, user_help, work
from postroom.app.cli.user_fields import FieldError, Fields
from postroom.schemas.values.users import (
    STATUS_CONTACT,
    STATUS_DELETED,
    STATUS_NORMAL,
    STATUS_OUT_OF_DATE,
    STATUS_SHARED,
    STATUS_SUSPENDED,
)

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

app = typer.Typer(name="user", no_args_is_help=True, rich_markup_mode=None, help=user_help.GROUP)

#: Status in the API -> for people.
STATUSES: Final = {
    STATUS_NORMAL: "active",
    STATUS_SUSPENDED: "suspended",
    STATUS_OUT_OF_DATE: "out of date",
    STATUS_DELETED: "deleted",
    STATUS_SHARED: "shared",
    STATUS_CONTACT: "contact",
}


@app.command("list", help=user_help.LIST)
def list_users(
    domains: Annotated[list[str] | None, typer.Argument(metavar="[DOMAIN]...", show_default=False)] = None,
    match: Annotated[str, typer.Option("--match", metavar="WORDS", help="Only users who match all words.")] = "",
    status: Annotated[str | None, typer.Option("--status", help=f"Only {', '.join(STATUSES.values())}.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most users of each list.")] = 50,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Lists users."""
    job = work.job_at(url, database, json=json)
    query: dict[str, Any] = {"limit": limit, "sort": "username", "properties": "displayname", "match": match}
    if status is not None:
        numbers = [number for number, name in STATUSES.items() if name == status.lower()]
        if not numbers:
            job.fail(f"There is no status {status!r}; there are {', '.join(STATUSES.values())}")
        query["status"] = numbers[0]
    from postroom.app.cli import user_work

    job.run(partial(user_work.show_list, job, domains or [], query))


@app.command("show", help=user_help.SHOW)
def show(
    address: work.Address, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Shows a user."""
    from postroom.app.cli import user_work

    job = work.job_at(url, database, json=json)
    job.run(partial(user_work.show, job, address))


@app.command("create", help=user_help.CREATE)
def create(
    address: work.Address,
    name: user_fields.Name = None,
    lang: user_fields.Lang = None,
    quota: user_fields.Quota = None,
    alias: Annotated[list[str] | None, typer.Option("--alias", metavar="ADDRESS", help="A further address.")] = None,
    allow: user_fields.Allow = None,
    deny: user_fields.Deny = None,
    prop: user_fields.Property = None,
    forward: user_fields.Forward = None,
    copy_to: user_fields.Copy = None,
    shared: Annotated[bool, typer.Option("--shared", help="A shared mailbox, without a password.")] = False,
    contact_in: Annotated[
        str | None, typer.Option("--contact-in", metavar="DOMAIN", help="A contact of this domain: no mailbox.")
    ] = None,
    password_stdin: work.PasswordStdin = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Creates a user."""
    job = work.job_at(url, database, json=json)
    if shared and contact_in is not None:
        job.fail("Give --shared or --contact-in, not both")
    more: dict[str, Any] = {"username": address}
    if alias:
        more["aliases"] = alias
    if shared or contact_in is not None:
        more["status"] = STATUS_SHARED if shared else STATUS_CONTACT
    fields = Fields(name, lang, quota, allow or (), deny or (), prop or (), forward, copy_to, more)
    body = _body(job, fields)
    if "status" not in more or password_stdin:
        body["password"] = job.password(from_input=password_stdin, prompt=f"Password of {address}")
    from postroom.app.cli import user_work

    job.run(partial(user_work.create, job, body, contact_in))


@app.command("set", help=user_help.SET)
def change(
    addresses: work.Addresses,
    name: user_fields.Name = None,
    lang: user_fields.Lang = None,
    quota: user_fields.Quota = None,
    allow: user_fields.Allow = None,
    deny: user_fields.Deny = None,
    prop: user_fields.Property = None,
    forward: user_fields.Forward = None,
    copy_to: user_fields.Copy = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Changes users."""
    job = work.job_at(url, database, json=json)
    body = _body(job, Fields(name, lang, quota, allow or (), deny or (), prop or (), forward, copy_to))
    if not body:
        job.fail("There is nothing to change: give an option such as --name")
    from postroom.app.cli import user_work

    job.run_each(job.names(addresses), partial(user_work.change, body))


def _body(job: work.Job, fields: Fields) -> dict[str, Any]:
    try:
        return fields.body()
    except FieldError as error:
        job.fail(str(error))


@app.command("rename", help=user_help.RENAME)
def rename(
    old: Annotated[str, typer.Argument(metavar="ADDRESS", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW_ADDRESS", show_default=False)],
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Renames a user."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        user = await names.find_user(api, old)
        document = await api.patch(user.path, {"username": new})
        job.tell(f"{user.username} is called {document['username']} now", document)

    job.run(do)


@app.command("suspend", help=user_help.SUSPEND)
def suspend(
    addresses: work.Addresses, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Suspends users."""
    _change_status(work.job_at(url, database, json=json), addresses, STATUS_NORMAL, STATUS_SUSPENDED)


@app.command("activate", help=user_help.ACTIVATE)
def activate(
    addresses: work.Addresses, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Ends suspensions."""
    _change_status(work.job_at(url, database, json=json), addresses, STATUS_SUSPENDED, STATUS_NORMAL)


def _change_status(job: work.Job, addresses: list[str], before: int, after: int) -> NoReturn:
    from postroom.app.cli import user_work

    job.run_each(job.names(addresses), partial(user_work.change_status, before, after))


@app.command("passwd", help=user_help.PASSWD)
def passwd(
    address: work.Address,
    password_stdin: work.PasswordStdin = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Sets a password."""
    job = work.job_at(url, database, json=json)
    new = job.password(from_input=password_stdin, prompt=f"New password of {address}")
    from postroom.app.cli import user_work

    job.run(partial(user_work.set_password, job, address, new))


@app.command("delete", help=user_help.DELETE)
def delete(
    addresses: work.Addresses,
    yes: output.Yes = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Deletes users."""
    job = work.job_at(url, database, json=json)
    found = job.names(addresses)
    job.confirm(f"Delete {work.listed(found)}, and everything that belongs to them?", yes=yes)
    from postroom.app.cli import user_work

    job.run_each(found, user_work.delete)
