"""Plans the sync of many users with the directory. Pure functions: no network, no database.

`read_entry` maps the entries, a Snapshot has the stored users and names, and a Planner decides what to do with each
entry.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.differences import Owners, differences, is_taken
from postroom.app.directory.mapping import Entry, MappedUser, map_entry
from postroom.app.directory.object_id import escape_object_id
from postroom.app.directory.scope import Scope, home_of
from postroom.app.directory.values import SMTP_ADDRESS
from postroom.app.errors import InvalidError
from postroom.schemas.addresses import domain_of
from postroom.schemas.values.text import fold
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage.ldap_users import Linked, StoredUser

log = logging.getLogger("postroom.ldap")

#: The message for an entry with an unexpected error.
FAULT = "An internal error; the log of the service has the details"
#: Why contacts stay as they are.
NO_CONTACTS = "Contacts are not taken over from the directory: enableContacts is off"


class Action(StrEnum):
    """What the sync does with a user."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    UNLINK = "unlink"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Step:
    """One action for one user. `code` is the HTTP status that a request for this user alone would get.

    `message` is the reason for a skip; for other actions it says which values were left out. `domain_id` 0: no domain
    of ours. `shown` is field -> [before, after]; `mapped` is the data to write.
    """

    action: Action
    object_id: str
    username: str
    code: int
    message: str
    domain_id: int = 0
    user_id: int | None = None
    shown: Mapping[str, Sequence[object]] = field(default_factory=dict)
    mapped: MappedUser | None = None


@dataclass(frozen=True, slots=True)
class ReadEntry:
    """An object ID and its user data, or the reason why the entry is unusable."""

    object_id: str
    mapped: MappedUser | None
    reason: str = ""

    def names(self) -> Iterable[str]:
        """All names that the entry gives to a user."""
        if self.mapped is not None:
            yield self.mapped.username
            yield from self.mapped.aliases
            if self.mapped.altname:
                yield self.mapped.altname


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The stored data: object ID -> users linked to it, and the owners of names."""

    linked: Mapping[str, Sequence[StoredUser]] = field(default_factory=dict)
    owners: Owners = field(default_factory=dict)


def read_entry(entry: Entry, config: DirectoryConfig, scope: Scope) -> ReadEntry:
    """Maps an entry. An unusable one raises no error, but has a reason."""
    object_id = escape_object_id(entry.object_id)
    try:
        return ReadEntry(object_id, map_entry(entry, config, scope.accepts))
    except InvalidError as error:
        return ReadEntry(object_id, None, error.message)


#: Kind of name -> its item in Owners for a planned user. The ID -2 is no stored user's.
_CLAIMS = {kind: (kind, -2) for kind in ("username", "alias", "altname")}


class Planner:
    """Plans page by page. Later pages take the users that earlier pages create into account."""

    def __init__(self, config: DirectoryConfig, scope: Scope) -> None:
        self._config = config
        self._scope = scope
        self._room = {domain.id: domain.max_user - domain.active_users for domain in scope.domains.values()}
        # The names of planned users. A dry run does not store them, so the next page does not find them as owners.
        self._claimed: dict[str, tuple[tuple[str, int], ...]] = {}
        self._homes = scope.homes()

    def plan(self, entries: Iterable[ReadEntry], snapshot: Snapshot) -> list[Step]:
        """The steps for a page of entries. An entry that belongs to no user of the scope has none."""
        return [step for entry in entries for step in self._plan_or_skip(entry, snapshot)]

    def missing(self, user: Linked, *, exists: bool, unlink: bool) -> Step:
        """The step for a linked user without a listed entry. Without `unlink` the user stays as it was.

        `exists`: the object exists, but the filters do not match it.
        """
        step = Step(Action.SKIP, user.ldap_id, user.username, 404, "", user.domain_id, user.id)
        if exists and user.status == STATUS_CONTACT and not self._config.contacts:
            return replace(step, action=Action.UNCHANGED, code=200, message=NO_CONTACTS)
        if exists:
            return replace(step, message="The entry is not found by the configured filters; the user stays as it was")
        if unlink:
            message = "the object is no longer in the directory"
            shown = {"ldapID": [user.ldap_id, None]}
            return replace(step, action=Action.UNLINK, code=200, message=message, shown=shown)
        return replace(step, message="The object is no longer in the directory; the user stays as it was")

    def _plan_or_skip(self, entry: ReadEntry, snapshot: Snapshot) -> list[Step]:
        try:
            return self._plan(entry, snapshot)
        except Exception:
            # No error of one entry may stop the other entries from being planned.
            log.exception("The object %s cannot be planned", entry.object_id)
            linked = snapshot.linked.get(entry.object_id, ())
            return [self._skipped(entry, user, 500, FAULT) for user in linked if user.domain_id in self._scope.domains]

    def _plan(self, entry: ReadEntry, snapshot: Snapshot) -> list[Step]:
        linked = snapshot.linked.get(entry.object_id, ())
        steps = [self._update(entry, user, snapshot) for user in linked if user.domain_id in self._scope.domains]
        if self._scope.create:
            if entry.mapped is not None and entry.mapped.is_contact:
                steps += self._contacts(entry, entry.mapped, linked)
            elif not linked:
                steps += self._create(entry, snapshot)
        return steps

    def _update(self, entry: ReadEntry, user: StoredUser, snapshot: Snapshot) -> Step:
        step = self._skipped(entry, user, 400, entry.reason)
        if entry.mapped is None:
            return step
        if entry.mapped.is_contact and not self._config.contacts:
            return replace(step, action=Action.UNCHANGED, code=200, message=NO_CONTACTS)
        try:
            changes, warnings = differences(
                user,
                entry.mapped,
                self._config,
                snapshot.owners,
                entry.object_id,
                self._scope.lang,
                partial(self._scope.may_have, domain_of(user.username)),
            )
        except InvalidError as error:
            return replace(step, message=error.message)
        message = "; ".join(warnings)
        if not changes:
            return replace(step, action=Action.UNCHANGED, code=200, message=message)
        shown = changes.shown(user)
        return replace(step, action=Action.UPDATE, code=200, message=message, shown=shown, mapped=entry.mapped)

    @staticmethod
    def _skipped(entry: ReadEntry, user: StoredUser, code: int, message: str) -> Step:
        return Step(Action.SKIP, entry.object_id, user.username, code, message, user.domain_id, user.id)

    def _create(self, entry: ReadEntry, snapshot: Snapshot) -> list[Step]:
        mapped = entry.mapped
        if mapped is None:
            # The entry's domain is unknown, so only a sync of all domains reports it.
            step = Step(Action.SKIP, entry.object_id, "", 400, entry.reason)
            return [step] if len(self._scope.domains) == len(self._scope.all_domains) else []
        domain = self._scope.all_domains.get(domain_of(mapped.username))
        if domain is None or domain.id not in self._scope.domains:
            return []
        step = Step(Action.SKIP, entry.object_id, mapped.username, 409, "", domain.id)
        owners = self._owners(entry, snapshot)
        reason = self._obstacle(mapped.username, owners)
        if reason:
            return [replace(step, message=reason)]
        if self._room[domain.id] <= 0:
            reason = f"The domain {domain.domainname} has reached its limit of {domain.max_user} users"
            return [replace(step, code=400, message=reason)]
        new_user = StoredUser(-1, step.domain_id, mapped.username, 0, "", None)
        may_have = partial(self._scope.may_have, domain.domainname)
        changes, warnings = differences(
            new_user, mapped, self._config, owners, step.object_id, self._scope.lang, may_have
        )
        self._room[domain.id] -= 1
        self._claim("username", [mapped.username])
        self._claim("alias", changes.aliases or ())
        self._claim("altname", [name for name, _ in changes.altnames or ()])
        shown = changes.shown(new_user)
        return [replace(step, action=Action.CREATE, code=201, message="; ".join(warnings), shown=shown, mapped=mapped)]

    def _owners(self, entry: ReadEntry, snapshot: Snapshot) -> Owners:
        """The stored and planned owners of an entry's names."""
        keys = {fold(name) for name in entry.names()}
        return {key: [*snapshot.owners.get(key, ()), *self._claimed.get(key, ())] for key in keys}

    def _claim(self, kind: str, names: Iterable[str]) -> None:
        for key in map(fold, names):
            self._claimed[key] = (*self._claimed.get(key, ()), _CLAIMS[kind])

    def _obstacle(self, username: str, owners: Owners) -> str:
        """Why a new user cannot have the name; "" if they can."""
        if is_taken(self._claimed, username, None, "username"):
            return f"Several entries of the directory have the address {username}"
        if is_taken(owners, username, None, "username"):
            return f"The user {username} exists and is not linked to this object"
        if is_taken(owners, username, None, "alias", "altname"):
            return f"The address {username} is an alias or an alternative login name of another user"
        return ""

    def _contacts(self, entry: ReadEntry, mapped: MappedUser, linked: Sequence[StoredUser]) -> list[Step]:
        if not self._config.contacts:
            return []
        rows = {row.id: row for row in self._scope.all_domains.values()}
        there = {home_of(rows[user.domain_id]) for user in linked if user.domain_id in rows}
        address = str(mapped.properties.get(SMTP_ADDRESS, mapped.username))
        return [
            Step(Action.CREATE, entry.object_id, address, 201, "", domain_id, mapped=mapped)
            for home, domain_id in self._homes.items()
            if home not in there
        ]
