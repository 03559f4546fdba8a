"""A connection to the directory inside a server of a test. It answers like that of a real server."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable

from postroom.app.directory.faults import BAD_FILTER, INVALID_DN, REASONS, AwayError, FaultError, TooManyError
from postroom.app.directory.mapping import Entry
from postroom.schemas.ldap_filters import parse_filter
from postroom.schemas.ldap_text import ServerAddress
from postroom.testing.ldap_matching import HIDDEN, compiled
from postroom.testing.ldap_names import Place, place_of, plain
from postroom.testing.ldap_tree import Stored

#: Attributes of a server's own, which only those get who ask for them by name.
_OPERATIONAL = frozenset({"entryuuid"})


class MemorySession:
    """See Session. `read` returns all entries, and `serves` whether the server has not hung up yet. `size_limit` is the
    number of entries that one question gets at most.
    """

    def __init__(
        self,
        server: ServerAddress,
        read: Callable[[], Collection[Stored]],
        serves: Callable[[], bool],
        size_limit: int | None,
    ) -> None:
        self.server = server
        self.size_limit = size_limit
        self._read = read
        self._serves = serves
        self._closed = False

    @property
    def alive(self) -> bool:
        """False as soon as the server has hung up."""
        return not self._closed and self._serves()

    async def exists(self, base: str, filter_text: str) -> bool:
        """Whether the base can be read and matches the filter."""
        place = place_or_fault(base)
        return any(found.place == place for found in self._found(base, filter_text))

    async def search(
        self, base: str, filter_text: str, attributes: Collection[str], limit: int, *, cut: bool = False
    ) -> list[Entry]:
        """The entries below the base, with these attributes as far as they exist."""
        try:
            found = self._limited(self._found(base, filter_text), limit)
        except TooManyError as exc:
            if not cut:
                raise
            found = list(exc.came)
        return _entries(found, attributes)

    async def pages(
        self, base: str, filter_text: str, attributes: Collection[str], size: int
    ) -> AsyncGenerator[list[Entry], None]:
        """The entries below the base, page by page."""
        found = self._found(base, filter_text)
        for start in range(0, len(found), size):
            self._check_alive()
            self._limited(found[: start + size], 0)
            yield _entries(found[start : start + size], attributes)

    async def names(self, base: str, filter_text: str, attributes: Collection[str], limit: int) -> set[str]:
        """The names of these attributes that occur in entries below the base; `*` is all but the server's own."""
        asked = {plain(name) for name in attributes}
        left_out = HIDDEN | (_OPERATIONAL - asked)
        names = {name for found in self._limited(self._found(base, filter_text), limit) for name in found.attributes}
        return {name for name in names if plain(name) not in left_out and ("*" in asked or plain(name) in asked)}

    def close(self) -> None:
        """Closes the connection at once."""
        self._closed = True

    def _check_alive(self) -> None:
        if not self.alive:
            raise AwayError("it closed the connection")

    def _found(self, base: str, filter_text: str) -> list[Stored]:
        self._check_alive()
        try:
            matches = compiled(parse_filter(filter_text))
        except ValueError:
            raise FaultError(REASONS[BAD_FILTER]) from None
        place = place_or_fault(base)
        return [each for each in self._read() if each.place[-len(place) :] == place and matches(each.attributes)]

    def _limited(self, found: list[Stored], limit: int) -> list[Stored]:
        most = min((each for each in (limit, self.size_limit) if each), default=len(found))
        if len(found) > most:
            error = TooManyError()
            error.came = found[:most]
            raise error
        return found


def place_or_fault(dn: str) -> Place:
    """The DN as it is compared. Raises FaultError."""
    try:
        return place_of(dn)
    except ValueError:
        raise FaultError(REASONS[INVALID_DN]) from None


def _entries(found: Iterable[Stored], attributes: Collection[str]) -> list[Entry]:
    wanted = {name.lower() for name in attributes} - HIDDEN
    return [
        Entry(
            each.dn,
            {
                name: tuple(map(_decoded, values))
                for name, values in each.attributes.items()
                if name.lower() in wanted and plain(name) not in HIDDEN
            },
        )
        for each in found
    ]


def _decoded(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
