"""What has to be written for Postfix and Dovecot, and how it is written and taken back."""

import difflib
import os
import re
import shutil
import subprocess  # nosec B404 - runs only the programs of the two servers
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from postroom.app.mail.setup import dovecot, postfix
from postroom.app.mail.setup.places import PROGRAMS, Places

#: What the name of a file ends with that is as it was before the first setup.
KEPT: Final = ".before-postroom"
#: Seconds that a program of one of the servers may take.
_PATIENCE: Final = 60
#: Debian's line that lets the users of the machine in.
_SYSTEM_USERS: Final = re.compile(r"^(!include auth-system\.conf\.ext)$", re.MULTILINE)


class SetupError(Exception):
    """It cannot be done; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file before and after; None: it is not there."""

    path: Path
    before: str | None
    after: str | None

    def diff(self) -> str:
        """The change as people read it."""
        before, after = ((text or "").splitlines(keepends=True) for text in (self.before, self.after))
        one, other = (str(self.path) if text is not None else "/dev/null" for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, one, other))


def wanted(places: Places) -> list[Change]:
    """What setup would change, without what is as it should be already. Raises SetupError."""
    if not places.dovecot_included.is_dir():
        raise SetupError(f"There is no {places.dovecot_included}; install dovecot-imapd, dovecot-lmtpd and the others")
    if not (places.postfix / "main.cf").exists():
        raise SetupError(f"There is no {places.postfix}/main.cf; install postfix, or begin with an empty main.cf")
    after = {
        **_postfix_after(places),
        places.dovecot_settings: dovecot.settings(places),
        places.lua: dovecot.script(places),
    }
    login = places.dovecot_included / "10-auth.conf"
    if (text := _text(login)) is not None:
        after[login] = _SYSTEM_USERS.sub(r"#\1", text)
    changes = [Change(path, _text(path), text) for path, text in after.items()]
    return [change for change in changes if change.before != change.after]


def unwanted(places: Places) -> list[Change]:
    """What undo would change."""
    kept = [*places.postfix.glob(f"*{KEPT}"), *places.dovecot_included.glob(f"*{KEPT}")]
    changes = [Change(_of_kept(path), _text(_of_kept(path)), _text(path)) for path in sorted(kept)]
    ours = [Change(path, _text(path), None) for path in (places.dovecot_settings, places.lua)]
    return [*changes, *(change for change in ours if change.before is not None)]


def write(changes: Sequence[Change], places: Places) -> None:
    """Keeps what was there before the first setup, writes all of it, and lets both servers check it.

    Raises SetupError, and then everything is as it was.
    """
    for change in changes:
        kept = change.path.with_name(change.path.name + KEPT)
        if change.before is not None and not kept.exists():
            shutil.copy2(change.path, kept)
    try:
        _put(changes)
        check(places)
    except (SetupError, OSError) as error:
        _put([replace(change, after=change.before) for change in changes])
        raise SetupError(f"Nothing was changed: {error}") from None


def take_back(changes: Sequence[Change]) -> None:
    """Writes what was there before the first setup, and removes what setup had added."""
    _put(changes)
    for change in changes:
        with suppress(FileNotFoundError):
            change.path.with_name(change.path.name + KEPT).unlink()


def check(places: Places) -> None:
    """Lets both servers check their settings. Raises SetupError with what they say."""
    for command in (
        ("postfix", "-c", str(places.postfix), "check"),
        ("doveconf", "-n", "-c", str(places.dovecot / "dovecot.conf")),
    ):
        run(command)


def reload(places: Places) -> list[str]:
    """Lets the servers that run read their settings anew; what those say that do not run."""
    said = []
    for command in (
        ("postfix", "-c", str(places.postfix), "reload"),
        ("doveadm", "-c", str(places.dovecot / "dovecot.conf"), "reload"),
    ):
        try:
            run(command)
        except SetupError as error:
            said.append(str(error))
    return said


def run(command: Sequence[str]) -> str:
    """What a program prints. Raises SetupError when it fails, or is not there."""
    environ = {"PATH": PROGRAMS, "LANG": "C.UTF-8"}
    try:
        # Fixed programs, with arguments of whoever runs the command.
        done = subprocess.run(  # noqa: S603  # nosec B603
            command, capture_output=True, text=True, errors="replace", env=environ, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetupError(f"{command[0]}: {error}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SetupError(f"{command[0]} says: {' '.join(lines[-3:])[:500] or f'exit code {done.returncode}'}")
    return done.stdout


def _postfix_after(places: Places) -> dict[Path, str | None]:
    """The files of Postfix as they would be: postconf(1) changes a copy."""
    with tempfile.TemporaryDirectory(prefix="postroom-") as name:
        copy = Path(name)
        for file in postfix.config_files(places.postfix):
            if file.exists():
                shutil.copy(file, copy / file.name)
        for command in postfix.commands(replace(places, postfix=copy)):
            for file in copy.iterdir():
                # Postfix waits for seconds when a file is that new, in case somebody still writes it.
                os.utime(file, (0, 0))
            run(command)
        return {file: _text(copy / file.name) for file in postfix.config_files(places.postfix)}


def _put(changes: Sequence[Change]) -> None:
    for change in changes:
        if change.after is None:
            change.path.unlink(missing_ok=True)
            continue
        # As a whole or not at all: a server may read it at any moment.
        new = change.path.with_name(f".{change.path.name}.new")
        new.write_text(change.after)
        if change.path.exists():
            shutil.copymode(change.path, new)
        else:
            new.chmod(0o644)
        new.replace(change.path)


def _of_kept(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(KEPT))


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
