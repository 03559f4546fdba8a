"""Postfix's socketmap protocol: netstrings with `MAP KEY` in, and `OK RESULT`, `NOTFOUND ` or `TEMP REASON` out.

See socketmap_table(5). A key that is no address is not found. It is never an error: Postfix would defer the message.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from postroom.app.mail.serving import BadRequestError
from postroom.app.services import mail
from postroom.app.services.context import Context

#: The longest netstring that is read: far more than Postfix ever asks, and all that `postmap -q` can be given.
_LONGEST: Final = 150_000
_DIGITS: Final = len(str(_LONGEST))
#: Postfix reads no longer reply than 100,000 bytes.
_LONGEST_REPLY: Final = 99_000

_NOT_FOUND: Final = b"NOTFOUND "
_TEMPORARY: Final = b"TEMP no answer at the moment"

LookUp = Callable[[Context, str], Awaitable[tuple[str, ...]]]


class Socketmap:
    """A conversation with Postfix."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def split(self, received: bytearray) -> bytes | None:
        """Takes a netstring off."""
        digits, colon, _ = received[: _DIGITS + 1].partition(b":")
        if (digits and not digits.isdigit()) or len(digits) > _DIGITS or (colon and not digits):
            raise BadRequestError("it sends no netstring")
        if not colon:
            return None
        begin = len(digits) + 1
        end = begin + int(digits)
        if int(digits) > _LONGEST:
            raise BadRequestError("it sends a netstring that is too long")
        if len(received) <= end:
            return None
        if received[end] != ord(","):
            raise BadRequestError("it sends a netstring that does not end where it says")
        request = bytes(received[begin:end])
        del received[: end + 1]
        return request

    async def answer(self, request: bytes) -> bytes:
        """The reply to `MAP KEY`."""
        name, _, key = request.partition(b" ")
        look_up = MAPS.get(name)
        if look_up is None:
            self._count("unknown", "refused")
            return _netstring(b"PERM there is no such map")
        try:
            found = await look_up(self._context, key.decode())
        except UnicodeDecodeError:
            found = ()
        text = ",".join(found).encode()
        if len(text) > _LONGEST_REPLY:
            raise ValueError
        self._count(name.decode(), "found" if found else "not_found")
        return _netstring(b"OK " + text if found else _NOT_FOUND)

    def failed(self, request: bytes) -> bytes:
        """Postfix keeps the message and asks again."""
        name = request.partition(b" ")[0]
        self._count(name.decode() if name in MAPS else "unknown", "temporary")
        return _netstring(_TEMPORARY)

    def _count(self, name: str, outcome: str) -> None:
        self._context.metrics.mail.add(f"postfix_{name}", outcome)


def _netstring(text: bytes) -> bytes:
    return b"%d:%b," % (len(text), text)


async def _find_domain(context: Context, domain: str) -> tuple[str, ...]:
    return (domain,) if await mail.has_domain(context, domain) else ()


async def _find_mailbox(context: Context, address: str) -> tuple[str, ...]:
    found = await mail.find_mailbox(context, address)
    plain, detail = mail.without_detail(address)
    if found is None and detail:
        found = await mail.find_mailbox(context, plain)
    return () if found is None else (found,)


async def _list_targets(context: Context, address: str) -> tuple[str, ...]:
    found = await mail.list_targets(context, address)
    plain, detail = mail.without_detail(address)
    if found or not detail:
        return found
    if await mail.find_mailbox(context, address) is not None:
        # Otherwise Postfix would go on without the detail, and find somebody else.
        return (address,)
    targets = [await _with_detail(context, each, detail) for each in await mail.list_targets(context, plain)]
    return tuple(dict.fromkeys(targets))


async def _with_detail(context: Context, target: str, detail: str) -> str:
    """Puts a detail back into an address of our own; elsewhere nobody knows whether it would be understood.

    An address that has a detail keeps its own: a copy to oneself would otherwise get a longer one again and again.
    """
    local, _, domain = target.rpartition("@")
    if mail.without_detail(target)[1]:
        return target
    return f"{local}{detail}@{domain}" if await mail.has_domain(context, domain) else target


async def _list_senders(context: Context, address: str) -> tuple[str, ...]:
    found = await mail.list_senders(context, address)
    plain, detail = mail.without_detail(address)
    return await mail.list_senders(context, plain) if detail and not found else found


MAPS: Final[Mapping[bytes, LookUp]] = {
    b"domains": _find_domain,
    b"mailboxes": _find_mailbox,
    b"aliases": _list_targets,
    b"senders": _list_senders,
}
