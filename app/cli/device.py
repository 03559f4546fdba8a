"""The commands `postroom device ...`."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from postroom.app.cli import output, work
from postroom.app.cli.codes import CODES

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

_HELP = """Show the devices of a user, make them start over, wipe and remove them.

A device is named by its ID, or by the beginning of it that no other device of the user has.

\b
Examples:
  postroom device list anna@example.org
  postroom device resync anna@example.org androidc42
  postroom device wipe anna@example.org androidc42
"""

_LIST_HELP = f"""List the devices of a user.

\b
Examples:
  postroom device list anna@example.org
  postroom device list anna@example.org --json | jq '.data[].deviceid'
{CODES}"""

_RESYNC_HELP = f"""Make a device start over at its next contact. Nothing gets lost.

\b
Examples:
  postroom device resync anna@example.org androidc42
{CODES}"""

_WIPE_HELP = f"""Wipe a device at its next contact, or with --account only the account on it.

At a service this needs the password of the login or of the owner of the token.

\b
Examples:
  postroom device wipe anna@example.org androidc42
  postroom device wipe anna@example.org androidc42 --account --yes --password-stdin <password.txt
{CODES}"""

_CANCEL_HELP = f"""Cancel the wipe of a device, or let a wiped one be used again.

\b
Examples:
  postroom device cancel anna@example.org androidc42
{CODES}"""

_REMOVE_HELP = f"""Remove a device and its state. If it connects again, it starts over.

\b
Examples:
  postroom device remove anna@example.org androidc42
{CODES}"""

app = typer.Typer(name="device", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

#: Status in the API -> for people.
STATUSES: Final = {
    0: "-", 1: "-", 2: "to be wiped", 4: "being wiped", 8: "wiped",
    16: "account to be wiped", 32: "account being wiped", 64: "account wiped",
}  # fmt: skip
_DEVICE, _ACCOUNT = 2, 16

_Device = Annotated[str, typer.Argument(metavar="DEVICE", help="Its ID, or the beginning of it.")]


@app.command("list", help=_LIST_HELP)
def list_devices(
    address: work.Address, json: output.Json = False, url: work.Url = None, database: output.Database = None
) -> None:
    """Lists devices."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        user = await names.find_user(api, address)
        page = await api.get(f"{user.path}/sync")
        rows = [
            (
                each["deviceid"],
                each["devicetype"],
                each["useragent"],
                _time(each["lastconnecttime"]),
                STATUSES.get(each["wipeStatus"]),
            )
            for each in page["data"]
        ]
        job.show_page("devices", page, ("DEVICE", "TYPE", "PROGRAM", "LAST SEEN (UTC)", "WIPE"), rows)

    job.run(do)


def _time(seconds: int | None) -> str | None:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S") if seconds else None


@app.command("resync", help=_RESYNC_HELP)
def resync(
    address: work.Address,
    device: _Device,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Makes a device start over."""
    _do(work.job_at(url, database, json=json), address, device, "PUT", "/resync")


@app.command("wipe", help=_WIPE_HELP)
def wipe(
    address: work.Address,
    device: _Device,
    account: Annotated[bool, typer.Option("--account", help="Only the account, not the whole device.")] = False,
    yes: output.Yes = False,
    password_stdin: work.PasswordStdin = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Wipes a device."""
    job = work.job_at(url, database, json=json)
    what = "the account on" if account else "everything on"
    job.confirm(f"Wipe {what} the device {device} of {address}?", yes=yes)
    body: dict[str, Any] = {"status": _ACCOUNT if account else _DEVICE}
    if job.is_remote:
        body["password"] = job.password(from_input=password_stdin, prompt="Your own password", twice=False)
    _do(job, address, device, "POST", "/wipe", body)


@app.command("cancel", help=_CANCEL_HELP)
def cancel(
    address: work.Address,
    device: _Device,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Cancels a wipe."""
    _do(work.job_at(url, database, json=json), address, device, "DELETE", "/wipe")


@app.command("remove", help=_REMOVE_HELP)
def remove(
    address: work.Address,
    device: _Device,
    yes: output.Yes = False,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Removes a device."""
    job = work.job_at(url, database, json=json)
    job.confirm(f"Remove the device {device} of {address}?", yes=yes)
    _do(job, address, device, "DELETE", "")


def _do(job: work.Job, address: str, device: str, method: str, below: str, body: Any = None) -> None:
    async def do(api: "Api") -> None:
        from postroom.app.cli import names

        user = await names.find_user(api, address)
        device_id = await names.find_device(api, user, device)
        answer = await api.ask(method, f"{user.path}/sync/{names.part(device_id)}{below}", body)
        job.tell(answer["message"])

    job.run(do)
