"""Lines whose fields are separated by tabs, escaped as in Dovecot's dict protocol: \\x01 and one of 0 1 t n r."""

import re
from typing import Final

from postroom.app.mail.serving import BadRequestError

_ESCAPED: Final = {b"\0": b"\x010", b"\x01": b"\x011", b"\t": b"\x01t", b"\n": b"\x01n", b"\r": b"\x01r"}
_PLAIN: Final = {after: before for before, after in _ESCAPED.items()}
#: Longer than any address or password can be when all of it is escaped.
_LONGEST: Final = 16_384


def take_line(received: bytearray) -> bytes | None:
    """Takes a line off, without its end; None: not all of it is there. Raises BadRequestError."""
    end = received.find(b"\n")
    if max(end, len(received) if end < 0 else 0) > _LONGEST:
        raise BadRequestError("it sends a line that is too long")
    if end < 0:
        return None
    line = bytes(received[:end])
    del received[: end + 1]
    return line


def split_fields(line: bytes) -> list[bytes]:
    """The fields of a line."""
    return [re.sub(rb"\x01.", lambda found: _PLAIN.get(found[0], found[0]), each) for each in line.split(b"\t")]


def join_fields(*fields: str) -> bytes:
    """A line of these fields, with its end."""
    return (
        b"\t".join(re.sub(rb"[\0\x01\t\n\r]", lambda found: _ESCAPED[found[0]], each.encode()) for each in fields)
        + b"\n"
    )
