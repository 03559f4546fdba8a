"""Who runs a command, for the record of what it changes."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from postroom.storage.audit.record import Author
from postroom.storage.writing import AUTHOR


@contextmanager
def named(command: str) -> Iterator[None]:
    """What is written inside was written by this command, and by the system's user who runs it."""
    author = Author("command", command, actor=_user())
    token = AUTHOR.set(lambda: author)
    try:
        yield
    finally:
        AUTHOR.reset(token)


def _user() -> str:
    """The name of the user, and of the one who logged in at this terminal if that is another: the one before sudo."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    try:
        login = os.getlogin()
    except OSError:
        return name
    return name if login == name else f"{name} ({login})"
