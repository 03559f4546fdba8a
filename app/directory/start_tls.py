"""The message that asks a server for StartTLS, and its answer (RFC 4511, 4.14), as bytes."""

#: An LDAPMessage with the extended request 1.3.6.1.4.1.1466.20037, message ID 1 (RFC 4511, 4.14.1).
START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
_EXTENDED_RESPONSE = 0x78


def is_complete(data: bytearray) -> bool:
    """Whether the data contains a whole LDAPMessage."""
    head = _length(data, 1)
    return head is not None and len(data) >= sum(head)


def is_accepted(data: bytearray) -> bool:
    """Whether the message is the extended response to message 1 with result code 0."""
    head = _length(data, 1)
    if head is None:
        return False
    start = head[0]
    inner = _length(data, start + 4)
    if data[start : start + 4] != bytes((2, 1, 1, _EXTENDED_RESPONSE)) or inner is None:
        return False
    return data[inner[0] : inner[0] + 3] == b"\x0a\x01\x00"


def _length(data: bytearray, position: int) -> tuple[int, int] | None:
    """Start and length of a BER element's content; `position` is that of its length octets. None if incomplete."""
    if len(data) <= position:
        return None
    first = data[position]
    if first < 0x80:
        return position + 1, first
    start = position + 1 + (first & 0x7F)
    return (start, int.from_bytes(data[position + 1 : start])) if len(data) >= start else None
