"""The questions to a directory over one connection: builds the filters and interprets the answers."""

from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.faults import FaultError, TooManyError
from postroom.app.directory.mapping import Entry
from postroom.app.directory.object_id import filter_escape
from postroom.app.directory.servers import Session
from postroom.app.directory.templates import OTHER_NAME
from postroom.app.errors import InvalidError

_ANYTHING = "(objectClass=*)"
#: Attributes, in lower case, with passwords, hashes or keys but without "password" in their names. `pwhistory` is
#: Univention's.
_SECRET = frozenset(
    {
        "unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "pwdhistory", "pwhistory", "supplementalcredentials",
        "ms-mcs-admpwd", "msfve-keypackage", "krbprincipalkey", "krb5key", "krbextradata", "krbmkey", "ipanthash",
        "ipatokenotpkey", "oathsecret", "userpkcs12",
    }
)  # fmt: skip


def is_secret(name: str) -> bool:
    """Whether an attribute may hold a password, or a hash or key made from one. It is not requested, so never shown.

    Many schemas have password attributes of their own. A harmless one, such as a date, is left out as well.
    """
    plain = name.lower().partition(";")[0]
    return plain in _SECRET or "password" in plain


class Questions:
    """The questions of one configuration. They raise the errors of the session, FaultError when the base DN is gone,
    and InvalidError when several entries have an object ID."""

    def __init__(self, config: DirectoryConfig) -> None:
        self._config = config
        self._attributes = config.attributes()
        other = OTHER_NAME.get(config.object_id.lower())
        self._id_names = [config.object_id, *([other] if other else [])]

    async def check(self, session: Session) -> None:
        """Checks the base DN and the filters."""
        await self.check_base(session)
        for text in (self._config.filter, self._config.contact_filter):
            if text is not None:
                await session.exists(self._config.base_dn, text)

    async def check_base(self, session: Session) -> None:
        """FaultError when the base DN does not exist."""
        # In bonsai, a search below a missing base is no error and finds nothing.
        if not await session.exists(self._config.base_dn, _ANYTHING):
            raise FaultError(f"the base DN {self._config.base_dn} does not exist or may not be read")

    async def find(self, session: Session, object_id: bytes) -> Entry | None:
        """The user with this object ID, or else the contact."""
        match = self._match(object_id)
        with self._only_one():
            found = await self._query(session, f"(&{match}{self._config.filter})", 2)
            if not found and self._config.contact_filter is not None:
                contacts = await self._query(session, f"(&{match}{self._config.contact_filter})", 2)
                found = [replace(one, is_contact=True) for one in contacts]
            return await self._the_one(session, found)

    async def dump(self, session: Session, object_id: bytes) -> Entry | None:
        """The entry with this object ID, with all attributes except secret ones (see is_secret)."""
        match, base = self._match(object_id), self._config.base_dn
        with self._only_one():
            names = await session.names(base, match, ["*", *self._id_names], 2)
            # userPassword;x-option is a password, too.
            shown = [name for name in names if not is_secret(name)]
            found = await session.search(base, match, shown or self._id_names, 2)
            return await self._the_one(session, [self._with_id(one) for one in found])

    async def search(self, session: Session, term: str, limit: int) -> list[Entry]:
        """Users, then contacts, in which a search attribute contains the term."""
        pattern = f"*{filter_escape(term.encode())}*" if term else "*"
        match = "".join(f"({name}={pattern})" for name in self._config.search_attributes)
        found = await self._query(session, f"(&{self._config.filter}(|{match}))", limit, cut=True)
        if self._config.contact_filter is not None and len(found) < limit:
            contacts = await self._query(session, f"(&{self._config.contact_filter}(|{match}))", limit, cut=True)
            users = {one.dn for one in found}
            found += [replace(one, is_contact=True) for one in contacts if one.dn not in users]
        if not found:
            await self.check_base(session)
        return found[:limit]

    async def pages(self, session: Session, size: int) -> AsyncGenerator[list[Entry], None]:
        """All users, then all contacts, page by page; no page is empty."""
        base, contacts = self._config.base_dn, self._config.contact_filter
        users: set[str] = set()
        empty = True
        for text, is_contact in ((self._config.filter, False), (contacts, True)):
            if text is None:
                continue
            async with aclosing(session.pages(base, text, self._attributes, size)) as pages:
                async for found in pages:
                    page = [replace(self._with_id(one), is_contact=is_contact) for one in found if one.dn not in users]
                    if contacts is not None and not is_contact:
                        users.update(one.dn for one in page)
                    if page:
                        empty = False
                        yield page
        if empty:
            await self.check_base(session)

    async def existing(self, session: Session, object_ids: Collection[bytes]) -> set[bytes]:
        """The object IDs that occur in any entry."""
        match = "".join(self._match(one) for one in object_ids)
        found = await session.search(self._config.base_dn, f"(|{match})", self._id_names, 0)
        there: set[bytes] = set()
        for values in map(self._ids, found):
            # The server may compare case-insensitively, as with uid. Then compare in the same way.
            folded = {_folded(value) for value in values}
            there |= set(values).intersection(object_ids) or {one for one in object_ids if _folded(one) in folded}
        return there

    async def _query(self, session: Session, text: str, limit: int, *, cut: bool = False) -> list[Entry]:
        found = await session.search(self._config.base_dn, text, self._attributes, limit, cut=cut)
        return [self._with_id(one) for one in found]

    async def _the_one(self, session: Session, found: list[Entry]) -> Entry | None:
        if len(found) > 1:
            raise TooManyError
        if not found:
            # A missing entry makes its user an orphan, so a missing or hidden base must not look the same.
            await self.check_base(session)
            return None
        return found[0]

    @contextmanager
    def _only_one(self) -> Iterator[None]:
        try:
            yield
        except TooManyError:
            raise InvalidError(f"Several directory entries have the same {self._config.object_id}") from None

    def _match(self, object_id: bytes) -> str:
        return f"({self._config.object_id}={filter_escape(object_id)})"

    def _ids(self, entry: Entry) -> list[bytes]:
        names = {name.lower() for name in self._id_names}
        values = [value for name, some in entry.attributes.items() if name.lower() in names for value in some]
        return [value.encode() if isinstance(value, str) else value for value in values]

    def _with_id(self, entry: Entry) -> Entry:
        return replace(entry, object_id=next(iter(self._ids(entry)), b""))


def _folded(object_id: bytes) -> str | bytes:
    try:
        return " ".join(object_id.decode().casefold().split())
    except UnicodeDecodeError:
        return object_id
