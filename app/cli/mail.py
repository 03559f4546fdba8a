"""The commands `postroom mail ...`."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from postroom.app.cli import mail_setup, output, tables, work

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

_HELP = """Postfix and Dovecot, which ask postroom.

\b
Examples:
  postroom mail check anna@example.org
  postroom mail setup --print
"""

_CHECK_HELP = """Explain what becomes of mail for an address, and who may send as it. Nothing is sent.

\b
Examples:
  postroom mail check anna@example.org
  postroom mail check anna@example.org --from x@example.net       what it replies to this sender
  postroom mail check anna@example.org --as bert@example.org      whether bert may send as anna
  postroom mail check anna@example.org --live                     whether Postfix and Dovecot say the same

\b
Exit codes:
  0    the mail arrives; the login may send; with --live, the servers say the same
  1    one of these is not so
  2    wrong usage or settings, or refused; trying again does not help
  3    the database, the service or a mail server is unavailable; trying again may help
  70   a bug in postroom
  130  interrupted"""

app = typer.Typer(name="mail", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

_UNITS: Final = (("GiB", 1 << 20), ("MiB", 1 << 10))


app.command("setup", help=mail_setup.SETUP_HELP)(mail_setup.setup)
app.command("undo", help=mail_setup.UNDO_HELP)(mail_setup.undo)


@app.command("check", help=_CHECK_HELP)
def check(
    address: work.Address,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help='The sender of the message; "" for a bounce.')
    ] = None,
    login: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who wants to send as --from, or else as ADDRESS.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask Postfix and Dovecot on this machine as well.")] = False,
    postfix: Annotated[str | None, typer.Option("--postfix", metavar="FOLDER", help="Postfix's settings.")] = None,
    dovecot: Annotated[str | None, typer.Option("--dovecot", metavar="FILE", help="Dovecot's settings.")] = None,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Explains it."""
    job = work.job_at(url, database, json=json)
    if not live and (postfix, dovecot) != (None, None):
        job.fail("--postfix and --dovecot go with --live")
    asked = {"address": address, "sender": sender, "login": login}

    async def do(api: "Api") -> int:
        found = await api.get("/system/mailCheck", **{name: text for name, text in asked.items() if text is not None})
        if live:
            from postroom.app.cli.mail_live import compare

            found["live"] = await compare(found, postfix, dovecot)
        message, fine = _verdict(found)
        if job.json:
            job.tell(message, found)
        else:
            _show(found)
            job.tell(message)
        return output.FINE if fine else output.NOTICED

    job.run(do)


def _verdict(found: dict[str, Any]) -> tuple[str, bool]:
    """The result in a sentence, and whether all is well."""
    texts = []
    if not found["accepted"]:
        texts.append(f"Mail for {found['address']} is not accepted")
    elif found["failures"]:
        texts.append(f"Mail is accepted, but does not arrive at {', '.join(found['failures'])}")
    if found["login"] is not None and not found["login"]["maySend"]:
        texts.append(f"{found['login']['login']} may not send as {found['login']['sender']}")
    different = [each for each in found.get("live", []) if not each["same"]]
    if different:
        texts.append(f"the servers differ in {len(different)} of {len(found['live'])} answers")
    return "; ".join(texts) or "All is well", not texts


def _show(found: dict[str, Any]) -> None:
    tables.show_rows(
        ("ADDRESS", "KIND", "WHAT HAPPENS"),
        [(step["address"], step["kind"], step["text"]) for step in found["steps"]],
    )
    for mailbox in found["mailboxes"]:
        reply = mailbox["outOfOffice"]
        fields = {
            "Mailbox": mailbox["username"],
            "Folder": mailbox["folder"],
            "Quota": "none" if mailbox["quotaKiB"] is None else _size(mailbox["quotaKiB"]),
            "Out of office": "no" if reply is None else reply["text"],
        }
        if reply is not None and reply["replies"]:
            fields |= {"Subject": reply["subject"], "Reply": reply["reply"]}
        print()
        tables.show_fields(fields)
    print()
    login = found["login"]
    tables.show_fields({"May send": found["senders"], **({} if login is None else {"Login": login["text"]})})
    print()
    rows = [
        (each["server"], each["question"], each["expected"], each["answer"])
        for each in found.get("live", [])
        if not each["same"]
    ]
    tables.show_rows(("SERVER", "QUESTION", "POSTROOM", "ANSWER"), rows)


def _size(kib: int) -> str:
    return next((f"{kib / size:g} {unit}" for unit, size in _UNITS if kib >= size), f"{kib} KiB")
