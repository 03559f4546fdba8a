"""What Dovecot's Lua asks: one request a line, fields separated by tabs.

login NAME PASSWORD PROTOCOL ADDRESS -> ok USERNAME | mismatch | temporary REASON
user NAME                            -> ok USERNAME KEY=VALUE ... | unknown | temporary REASON
users                                -> a username a line, and an empty line; or temporary REASON in its place
"""

from collections.abc import AsyncGenerator
from typing import Final

from postroom.app.mail.fields import join_fields, split_fields, take_line
from postroom.app.services import mail, mail_logins
from postroom.app.services.context import Context
from postroom.storage.mail import Mailbox

#: Usernames that are sent at once.
_PIECE: Final = 1000
#: Request -> how many fields follow.
_REQUESTS: Final = {"login": 4, "user": 1, "users": 0}


class Dovecot:
    """A conversation with Dovecot."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def split(self, received: bytearray) -> bytes | None:
        """Takes a line off."""
        return take_line(received)

    async def answer(self, request: bytes) -> bytes | AsyncGenerator[bytes, None]:
        """The answer to a line."""
        name, *values = split_fields(request)
        kind = _kind(name)
        if kind is None or len(values) != _REQUESTS[kind]:
            self._count("unknown", "refused")
            return join_fields("temporary", "there is no such request")
        try:
            texts = [each.decode() for each in values]
        except UnicodeDecodeError:
            # No name or password has such bytes.
            outcome = "mismatch" if kind == "login" else "unknown"
            self._count(kind, outcome)
            return join_fields(outcome)
        if kind == "users":
            self._count(kind, "found")
            return self._users()
        return await (self._login(*texts) if kind == "login" else self._user(*texts))

    def failed(self, request: bytes) -> bytes:
        """Dovecot lets its client try again."""
        kind = _kind(request.partition(b"\t")[0])
        self._count(kind or "unknown", "temporary")
        return join_fields("temporary", "no answer at the moment") + (b"\n" if kind == "users" else b"")

    async def _login(self, name: str, password: str, protocol: str, source: str) -> bytes:
        found = await mail_logins.verify(self._context, name, password, protocol, source)
        self._count("login", found.outcome)
        if found.outcome == "ok":
            return join_fields("ok", found.address)
        if found.outcome == "temporary":
            return join_fields("temporary", "the login cannot be checked at the moment")
        if found.outcome == "throttled":
            return join_fields("temporary", "throttled")
        return join_fields(found.outcome)

    async def _user(self, name: str) -> bytes:
        found = await mail.find_account(self._context, name)
        self._count("user", "unknown" if found is None else "found")
        return join_fields("unknown") if found is None else join_fields("ok", found.username, *_described(found))

    async def _users(self) -> AsyncGenerator[bytes, None]:
        piece: list[bytes] = []
        async for username in mail.iterate_accounts(self._context):
            piece.append(join_fields(username))
            if len(piece) == _PIECE:
                yield b"".join(piece)
                piece.clear()
        yield b"".join([*piece, b"\n"])

    def _count(self, kind: str, outcome: str) -> None:
        self._context.metrics.mail.add(f"dovecot_{kind}", outcome)


def _kind(name: bytes) -> str | None:
    return next((each for each in _REQUESTS if each.encode() == name), None)


def _described(mailbox: Mailbox) -> list[str]:
    """What a mailbox is, as far as it is no default."""
    return [
        f"mailbox={mail.folder_of(mailbox)}",
        *([f"quota_kib={mailbox.limit}"] if mailbox.limit is not None else []),
        *([] if mailbox.is_active else ["suspended=1"]),
        *([] if mailbox.pop3_imap else ["pop3_imap=0"]),
        *([] if mailbox.smtp else ["smtp=0"]),
        *([f"opens={','.join(mailbox.opens)}"] if mailbox.opens else []),
    ]
