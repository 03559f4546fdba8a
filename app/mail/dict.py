"""Dovecot's dict protocol: where Pigeonhole finds the script of somebody's out of office.

See dict-client.h of Dovecot 2.3 and 2.4. A line is a letter and fields separated by tabs. Nothing can be written here.
"""

from typing import Final

from postroom.app.mail.fields import join_fields, split_fields, take_line
from postroom.app.mail.vacation import script_id, script_of
from postroom.app.services import vacations
from postroom.app.services.context import Context

#: The name under which `postroom mail setup` tells Pigeonhole to look.
SCRIPT: Final = "oof"
_NAME: Final = f"priv/sieve/name/{SCRIPT}"
_DATA: Final = "priv/sieve/data/"

_NOT_FOUND: Final = b"N\n"


class Dict:
    """A conversation with a process of Dovecot."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: Whose dict it is, unless a request names somebody else.
        self._user = ""

    def split(self, received: bytearray) -> bytes | None:
        """Takes a line off."""
        return take_line(received)

    async def answer(self, request: bytes) -> bytes:
        """The reply to a line; empty where the protocol has none."""
        command = request[:1]
        try:
            fields = [each.decode() for each in split_fields(request[1:])]
        except UnicodeDecodeError:
            return _NOT_FOUND if command == b"L" else b""
        if command == b"H":
            self._user = fields[3] if len(fields) > 3 else ""
        elif command == b"L":
            return await self._look_up(fields[0], fields[1] if len(fields) > 1 and fields[1] else self._user)
        elif command == b"I":
            return b"\n"
        elif command in (b"C", b"D"):
            self._count("refused")
            return b"F" + join_fields(fields[0], "nothing can be written here")
        return b""

    def failed(self, _request: bytes) -> bytes:
        """The message is delivered later."""
        self._count("temporary")
        return b"F" + join_fields("no answer at the moment")

    async def _look_up(self, path: str, user: str) -> bytes:
        if path != _NAME and not path.startswith(_DATA):
            self._count("not_found")
            return _NOT_FOUND
        script = await self._script(user)
        wanted = script_id(script)
        if path == _NAME:
            self._count("found")
            return b"O" + join_fields(wanted)
        if path != _DATA + wanted:
            # It has changed since its ID was told. Dovecot must not keep the new one under the old ID.
            return self.failed(b"L")
        self._count("found")
        return b"O" + join_fields(script)

    async def _script(self, user: str) -> str:
        return script_of(await vacations.find_vacation(self._context, user), self._context.config.timezone)

    def _count(self, outcome: str) -> None:
        self._context.metrics.mail.add("dovecot_dict", outcome)
