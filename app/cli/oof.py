"""The commands `postroom oof ...`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from postroom.app.cli import output, tables, work
from postroom.app.cli.codes import CODES, EACH

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

_HELP = """Show and change replies while a user is out of office.

\b
Examples:
  postroom oof show anna@example.org
  postroom oof set anna@example.org --subject "On holiday" --reply "Back on Monday."
  postroom oof off anna@example.org
"""

_SHOW_HELP = f"""Show what a user replies, and when.

\b
Examples:
  postroom oof show anna@example.org
{CODES}"""

_SET_HELP = f"""Let a user reply: from now on, or from one time until another. What is not given stays as it is.

Times are in the time zone of the service.

\b
Examples:
  postroom oof set anna@example.org --subject "On holiday" --reply "Back on Monday." --external known
  postroom oof set anna@example.org --from "2026-12-24 00:00:00" --until "2027-01-02 00:00:00" --reply - <reply.txt
{CODES}"""

_OFF_HELP = f"""Stop the replies of users. Their texts are kept.

\b
Examples:
  postroom oof off anna@example.org
{EACH}"""

app = typer.Typer(name="oof", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_STATES: Final = {0: "off", 1: "on", 2: "scheduled"}
_AUDIENCES: Final = {"none": 0, "known": 1, "all": 2}


@app.command("show", help=_SHOW_HELP)
def show(
    address: work.Address, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Shows the settings."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        user = await names.find_user(api, address)
        found = await api.get(f"{user.path}/oof")
        if job.json:
            job.tell(user.username, found)
            return
        audiences = {number: name for name, number in _AUDIENCES.items()}
        tables.show_fields(
            {
                "Address": user.username,
                "Replies": _STATES.get(found["state"]),
                "From": found.get("startTime"),
                "Until": found.get("endTime"),
                "Subject": found.get("internalSubject"),
                "Reply": found.get("internalReply"),
                "To outside": audiences.get(found.get("externalAudience", 0)),
                "Subject outside": found.get("externalSubject"),
                "Reply outside": found.get("externalReply"),
            }
        )

    job.run(do)


@app.command("set", help=_SET_HELP)
def change(
    address: work.Address,
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help="YYYY-MM-DD HH:MM:SS.")] = None,
    end: Annotated[str | None, typer.Option("--until", metavar="TIME", help="YYYY-MM-DD HH:MM:SS.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="The subject of replies.")] = None,
    reply: Annotated[str | None, typer.Option("--reply", help="The text of replies; - takes the input.")] = None,
    external: Annotated[str | None, typer.Option("--external", help="Who else gets one: none, known, all.")] = None,
    external_subject: Annotated[str | None, typer.Option("--external-subject", help="For people outside.")] = None,
    external_reply: Annotated[str | None, typer.Option("--external-reply", help="For people outside.")] = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Turns replies on."""
    job = work.job_at(url, database, json=json)
    if external is not None and external not in _AUDIENCES:
        job.fail(f"--external is one of {', '.join(_AUDIENCES)}")
    given: dict[str, Any] = {
        "startTime": begin,
        "endTime": end,
        "internalSubject": subject,
        "internalReply": _text(job) if reply == "-" else reply,
        "externalAudience": None if external is None else _AUDIENCES[external],
        "externalSubject": external_subject,
        "externalReply": external_reply,
    }
    body = {field: value for field, value in given.items() if value is not None}
    body["state"] = 1 if begin is None and end is None else 2

    async def do(api: "Api") -> None:
        job.tell(await _put(body, api, address))

    job.run(do)


def _text(job: work.Job) -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        job.fail("The input is not UTF-8")


@app.command("off", help=_OFF_HELP)
def off(
    addresses: work.Addresses, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Turns replies off."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api", address: str) -> str:
        return await _put({"state": 0}, api, address)

    job.run_each(job.names(addresses), do)


async def _put(body: dict[str, Any], api: "Api", address: str) -> str:
    from postroom.app.cli import names

    user = await names.find_user(api, address)
    answer: dict[str, str] = await api.put(f"{user.path}/oof", body)
    return answer["message"]
