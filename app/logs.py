"""The log: each record is one line with the ID of its request. A record's text cannot forge another line."""

import logging
import sys
from contextvars import ContextVar
from typing import Final

#: The ID of the current request. Background work that a request starts keeps it.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="-")


class LineFormatter(logging.Formatter):
    """Makes every record one line. A traceback follows, each of its lines indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of the record, and the lines of its traceback if there is one."""
        head = f"{self.formatTime(record)} {record.levelname} {record.name} [{REQUEST_ID.get()}]:"
        lines = [one_line(f"{head} {record.getMessage()}")]
        # Not record.exc_text, which another handler may have filled.
        if record.exc_info and record.exc_info[0] is not None:
            lines += _indented(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(record.stack_info)
        return "\n".join(lines)


def one_line(text: str) -> str:
    """The text with all unprintable characters escaped: terminal controls, line breaks, invisible characters."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def set_up(level: int) -> None:
    """Sends records of `level` and above to standard error in this format from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler])


def _indented(text: str) -> list[str]:
    # An exception's message may have several lines. Indented, none of them looks like a log line of its own.
    return [f"  | {one_line(line)}" for line in text.split("\n")]


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
