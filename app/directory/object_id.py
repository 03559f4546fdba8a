"""Object IDs of the directory: bytes (a Windows objectGUID has 16) in the directory, escaped text in the API."""

import re

from postroom.app.errors import InvalidError

_PART = re.compile(r"\\([0-9A-Fa-f]{2})|([^\\])", re.DOTALL)


def escape_object_id(raw: bytes) -> str:
    r"""The ID as the API shows it: ASCII letters and digits as they are, every other byte as `\xx`."""
    return "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else f"\\{byte:02x}" for byte in raw)


def parse_object_id(text: str) -> bytes:
    r"""The bytes of an ID as the API shows it; characters without an escape stand for their UTF-8 bytes.

    InvalidError when it is empty or a backslash is not followed by two hexadecimal digits.
    """
    if not text:
        raise InvalidError("The LDAP object ID is empty")
    raw = bytearray()
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise InvalidError("The LDAP object ID holds a backslash without two hexadecimal digits after it")
        code, literal = part.groups()
        try:
            raw += bytes.fromhex(code) if code else literal.encode()
        except UnicodeEncodeError:
            raise InvalidError("The LDAP object ID holds a character that is not valid Unicode") from None
        position = part.end()
    return bytes(raw)


def filter_escape(raw: bytes) -> str:
    r"""The bytes as a value in an LDAP filter, each as `\xx` (RFC 4515), so that none has a special meaning."""
    return "".join(f"\\{byte:02x}" for byte in raw)
