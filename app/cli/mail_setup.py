"""The commands `postroom mail setup` and `postroom mail undo`."""

import grp
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from postroom.app.mail.setup.files import Change
    from postroom.app.mail.setup.places import Places

SETUP_HELP = """Set up Postfix and Dovecot on this machine so that they ask postroom.

Shows what would be changed and asks. Files are kept as they were (NAME.before-postroom), both servers check the new
settings before they read them, and `postroom mail undo` takes everything back.

\b
Examples:
  postroom mail setup --print                       only show it, for those who manage files elsewhere
  postroom mail setup                               show it, ask, write, check, reload
  postroom mail setup --mail /srv/mail --user vmail --yes
  postroom mail undo

\b
Exit codes:
  0    done, or there is nothing to do
  1    written, but a server could not be reloaded
  2    refused: something is missing, a server refuses the settings, or you said no; nothing was changed"""

UNDO_HELP = """Take back what `postroom mail setup` has written.

\b
Examples:
  postroom mail undo
  postroom mail undo --yes

\b
Exit codes:
  0    done, or there is nothing to do
  1    taken back, but a server could not be reloaded
  2    refused, or you said no; nothing was changed"""

Sockets = Annotated[
    Path | None, typer.Option("--sockets", metavar="FOLDER", help="The sockets of postroom [POSTROOM_MAIL_SOCKETS].")
]
Mail = Annotated[Path, typer.Option("--mail", metavar="FOLDER", help="Where all mail is.")]
User = Annotated[str, typer.Option("--user", metavar="NAME", help="The account to which all mail belongs.")]
Postfix = Annotated[Path, typer.Option("--postfix", metavar="FOLDER", help="Postfix's settings.")]
Dovecot = Annotated[Path, typer.Option("--dovecot", metavar="FOLDER", help="Dovecot's settings.")]
Print = Annotated[bool, typer.Option("--print", help="Only show what would be changed.")]

_MAIL, _USER = Path("/var/vmail"), "vmail"
_POSTFIX, _DOVECOT = Path("/etc/postfix"), Path("/etc/dovecot")
_NOTHING: Final = "Nothing to do"


def setup(
    sockets: Sockets = None,
    mail: Mail = _MAIL,
    user: User = _USER,
    postfix: Postfix = _POSTFIX,
    dovecot: Dovecot = _DOVECOT,
    only_print: Print = False,
    yes: output.Yes = False,
) -> None:
    """Sets them up."""
    from postroom.app.mail.setup import files

    try:
        places = _places(sockets, mail, user, postfix, dovecot)
        changes = files.wanted(places)
        if _agreed(changes, "Write this?", only_print=only_print, yes=yes):
            files.write(changes, places)
            _finish(places, "Postfix and Dovecot ask postroom")
    except (files.SetupError, OSError) as error:
        output.fail(str(error), output.REFUSED)


def undo(postfix: Postfix = _POSTFIX, dovecot: Dovecot = _DOVECOT, yes: output.Yes = False) -> None:
    """Takes it back."""
    from postroom.app.mail.setup import files
    from postroom.app.mail.setup.places import Places

    nowhere = Path("/nonexistent")
    places = Places(nowhere, nowhere, "", "", nowhere, postfix, dovecot)
    try:
        changes = files.unwanted(places)
        if _agreed(changes, "Take this back?", only_print=False, yes=yes):
            files.take_back(changes)
            _finish(places, "Everything is as it was before")
    except (files.SetupError, OSError) as error:
        output.fail(str(error), output.REFUSED)


def _places(sockets: Path | None, mail: Path, user: str, postfix: Path, dovecot: Path) -> "Places":
    """Raises SetupError when something is missing that setup does not make."""
    from postroom.app.mail.setup.files import SetupError, run
    from postroom.app.mail.setup.places import Places

    if sockets is None:
        configured_sockets = configured.load({}).mail_sockets
        if configured_sockets is None:
            raise SetupError("Say where the sockets of postroom are: set POSTROOM_MAIL_SOCKETS, or use --sockets")
        sockets = Path(configured_sockets)
    try:
        group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError:
        raise SetupError(
            f"There is no account {user}; make one: useradd --system --home-dir {mail} --create-home {user}"
        ) from None
    spool = run(("postconf", "-c", str(postfix), "-xh", "queue_directory")).strip()
    return Places(sockets.absolute(), mail.absolute(), user, group, Path(spool), postfix, dovecot)


def _agreed(changes: "list[Change]", question: str, *, only_print: bool, yes: bool) -> bool:
    """Shows the changes; whether they are to be made."""
    if not changes:
        typer.echo(_NOTHING)
        return False
    for change in changes:
        typer.echo(change.diff(), nl=False)
    if only_print:
        return False
    if not yes and not typer.confirm(question, err=True):
        output.fail("Nothing was changed", output.REFUSED)
    return True


def _finish(places: "Places", message: str) -> None:
    from postroom.app.mail.setup.files import reload

    said = reload(places)
    for text in said:
        output.complain(text)
    typer.echo(message if not said else f"{message}, once they are started or reloaded")
    if said:
        raise typer.Exit(output.NOTICED)
