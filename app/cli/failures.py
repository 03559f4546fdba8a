"""What people are told when a command fails: the reason, what to do about it, and the exit code."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from postroom.app.cli.output import AWAY, BROKEN, INTERRUPTED, REFUSED
from postroom.app.config import SettingError
from postroom.app.errors import MisconfiguredError, PostroomError, UnavailableError
from postroom.schemas.values.text import printable
from postroom.storage.faults import NoDatabaseError, WrongDatabaseError, is_unavailable


def explained(error: BaseException) -> tuple[str, int]:
    """(message, exit code) for whatever ends a command on the local database."""
    text = error.message if isinstance(error, PostroomError) else str(error)
    match error:
        case KeyboardInterrupt() | asyncio.CancelledError():
            return "Interrupted", INTERRUPTED
        case NoDatabaseError():
            advice = "Name another with --database or --config, or make one: postroom init"
            return f"{text}. {advice}", REFUSED
        case WrongDatabaseError():
            return text, REFUSED
        case MisconfiguredError():
            advice = "Change the configuration with PUT /api/v1/system/mconf/ldap, or that of the organisation"
            return f"{text}. {advice}", REFUSED
        case UnavailableError():
            return f"{text}. Check that it runs and can be reached, then try again", AWAY
        case Exception() if is_unavailable(error):
            return f"{text}. Check that no other program locks the file and that it is writable, then try again", AWAY
        case SettingError() | PostroomError():
            return text, REFUSED
    return f"This is a bug in postroom, please report it: {place_of(error)}", BROKEN


def unknown_response(error: BaseException, place: str) -> str:
    """The message when a command cannot use what a service has responded."""
    reason = "responds with something else than this command knows; is it of another version, or not postroom?"
    return f"The service {place} {reason} ({place_of(error)})"


def place_of(error: BaseException) -> str:
    """The kind of an error, and the line that has raised it."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return f"{type(error).__name__} at {place}"


@contextmanager
def log_taken_by(handler: logging.Handler) -> Iterator[None]:
    """Gives this handler the log of the process for as long as the block runs."""
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


class Bugs(logging.Handler):
    """Takes the log of the application inside this process: shows warnings, and keeps where a bug was."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a line."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self.found = place_of(error)
        else:
            print(f"postroom: {printable(record.getMessage())}", file=sys.stderr)
