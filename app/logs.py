"""The log: each record is one entry with the ID of its request, for people or for programs. A record's text cannot
forge another entry.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

#: The ID of the current request. Background work that a request starts keeps it.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="-")

#: Level -> the colour of its name on a terminal.
_COLOURS: Final = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}
_PLAIN: Final = "\x1b[0m"


class LineFormatter(logging.Formatter):
    """For people: makes every record one line. A traceback follows, each of its lines indented."""

    def __init__(self, *, coloured: bool = False) -> None:
        super().__init__()
        self._colours = _COLOURS if coloured else {}

    def format(self, record: logging.LogRecord) -> str:
        """The line of the record, and the lines of its traceback if there is one."""
        colour = self._colours.get(record.levelno)
        level = record.levelname if colour is None else f"{colour}{record.levelname}{_PLAIN}"
        said = one_line(f"{record.name} [{REQUEST_ID.get()}]: {record.getMessage()}")
        lines = [f"{self.formatTime(record)} {level} {said}"]
        # Not record.exc_text, which another handler may have filled.
        if record.exc_info and record.exc_info[0] is not None:
            lines += _indented(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(record.stack_info)
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """For programs: makes every record one line with a JSON object, in ASCII. A traceback is in it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of the record."""
        request_id = REQUEST_ID.get()
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "requestID": None if request_id == "-" else request_id,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = record.stack_info
        # DEL is the one character of ASCII that JSON leaves as it is and a terminal does not show.
        return json.dumps(entry).replace("\x7f", "\\u007f")


def one_line(text: str) -> str:
    """The text with all unprintable characters escaped: terminal controls, line breaks, invisible characters."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def set_up(level: int, form: str, *, coloured: bool) -> None:
    """Sends records of `level` and above to standard error from now on, in the form `console` or `json`.

    `coloured`: in colours, if it is a terminal and the form is for people.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter() if form == "json" else LineFormatter(coloured=coloured and sys.stderr.isatty())
    )
    logging.basicConfig(level=level, handlers=[handler])


def _indented(text: str) -> list[str]:
    # An exception's message may have several lines. Indented, none of them looks like a log line of its own.
    return [f"  | {one_line(line)}" for line in text.split("\n")]


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
