"""The log: a line for each thing that is said, with the request that it is about, and nothing that forges another."""

import logging
import sys
from contextvars import ContextVar
from typing import Final

#: The ID of the request that is being answered. What a request starts and does not wait for bears it, too.
REQUEST_ID: Final[ContextVar[str]] = ContextVar("request_id", default="-")


class LineFormatter(logging.Formatter):
    """Whatever is said, by whomever, becomes one line. A traceback follows indented, line by line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the lines of the traceback if there is one."""
        head = f"{self.formatTime(record)} {record.levelname} {record.name} [{REQUEST_ID.get()}]:"
        lines = [one_line(f"{head} {record.getMessage()}")]
        # Not record.exc_text, which another handler may have filled.
        if record.exc_info and record.exc_info[0] is not None:
            lines += _indented(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(record.stack_info)
        return "\n".join(lines)


def one_line(text: str) -> str:
    """The text with everything escaped that a terminal obeys, a reader of lines splits at, or nobody sees."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def set_up(level: int) -> None:
    """From now on everything that is logged from that level on goes to the standard error, in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler])


def _indented(text: str) -> list[str]:
    # The message of an exception may have lines; none of them begins as a line of the log does.
    return [f"  | {one_line(line)}" for line in text.split("\n")]


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
