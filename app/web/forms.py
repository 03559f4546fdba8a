"""Parses forms. The login is the only form, and anybody may send one.

aiohttp decodes forms with any character set that the client names, and some decoders of Python need minutes for a
megabyte. This parser takes UTF-8 only, and every step takes time in proportion to the bytes.
"""

import re
from collections.abc import Mapping
from email.message import Message
from typing import Final
from urllib.parse import parse_qsl

from postroom.app.errors import InvalidError, UnsupportedError

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

#: Most fields of a form, or parts of a multipart form.
_MOST_FIELDS: Final = 32
#: Most bytes in the headers of one part.
_LONGEST_HEAD: Final = 1024
#: RFC 2046 5.1.1.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_NAME: Final = re.compile(rb'content-disposition:[ \t]*form-data[ \t]*;[ \t]*name="([^"\r\n]{0,64})"', re.IGNORECASE)


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form."""
    return content_type in (URLENCODED, MULTIPART)


def parse_form(raw: bytes, content_type_header: str) -> Mapping[str, str]:
    """The fields of a form; the last one of a name counts. Raises InvalidError, UnsupportedError (not UTF-8)."""
    kind = Message()
    kind["Content-Type"] = content_type_header
    charset = str(kind.get_param("charset", "utf-8")).lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedError("The form is in another character set than UTF-8")
    try:
        if kind.get_content_type() == URLENCODED:
            text = raw.decode("utf-8")
            return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
        return _parts(raw, str(kind.get_param("boundary", "")))
    except ValueError:
        raise InvalidError("The body is not a valid form") from None


def _parts(raw: bytes, boundary: str) -> dict[str, str]:
    """The fields of a multipart form. Raises ValueError: no boundary, no end, a file, too many parts."""
    if not _BOUNDARY.fullmatch(boundary):
        raise ValueError("There is no boundary")
    # RFC 2046 5.1.1: the text before the first boundary and after the last one is ignored.
    _, *parts = (b"\r\n" + raw).split(b"\r\n--" + boundary.encode("ascii"), _MOST_FIELDS + 2)
    if not parts or not parts[-1].startswith(b"--"):
        raise ValueError("The form has no end, or too many parts")
    fields = {}
    for part in parts[:-1]:
        head, separator, value = part.partition(b"\r\n\r\n")
        if not separator or len(head) > _LONGEST_HEAD:
            raise ValueError("A part has no headers, or too long ones")
        named = [found for line in head.split(b"\r\n") if (found := _NAME.fullmatch(line))]
        if len(named) != 1:
            # A part with a filename is a file, and no operation takes files.
            raise ValueError("A part is no field")
        fields[named[0][1].decode("utf-8")] = value.decode("utf-8")
    return fields
