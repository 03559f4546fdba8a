"""Random sequences of all operations, against a small model in memory; the two are compared after every step.

The model knows what a user is called and who stands in whose lists. What it does not know it does not check: values of
single fields have tests of their own.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from postroom.app.config import Config
from tests.support.inside import assert_sound, tables_of_users
from tests.support.service import ADMIN_PASSWORD, Api, Service

T = TypeVar("T")

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)

LOCALS = ["a", "b", "c", "Ärger"]
ALIASES = ["x", "y", "z"]
OUTSIDE = ["far@outside.net", "near@outside.net"]
DEVICES = ["dev1", "dev2"]
#: Wipes that must not be forgotten when the states of devices are removed.
UNDER_WAY = {2, 4, 16, 32}


@dataclass
class User:
    """What the model knows of a user."""

    id: int
    domain: int
    username: str
    aliases: list[str] = field(default_factory=list)
    lists: dict[str, list[str]] = field(default_factory=lambda: {"delegates": [], "sendas": []})
    members: set[int] = field(default_factory=set)
    properties: dict[str, str] = field(default_factory=dict)
    oof: dict[str, Any] = field(default_factory=lambda: {"state": 0, "externalAudience": 0})
    devices: dict[str, int] = field(default_factory=dict)
    resyncs: set[str] = field(default_factory=set)
    roles: set[int] = field(default_factory=set)

    @property
    def path(self) -> str:
        """Where the user is."""
        return f"/domains/{self.domain}/users/{self.id}"

    @property
    def names(self) -> list[str]:
        """Username and aliases."""
        return [self.username, *self.aliases]


class Mailboxes(RuleBasedStateMachine):
    """A service with an organisation of two domains, which come and go."""

    runner: ClassVar[asyncio.Runner]
    admin: ClassVar[Api]
    runs: ClassVar[int] = 0

    users_made = Bundle("users_made")

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, User] = {}
        self.domains: list[int] = []
        self.names: dict[int, str] = {}

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Waits for a call."""
        return self.runner.run(work)

    @initialize()
    def make_domains(self) -> None:
        """Two domains of one organisation, with names that no run before had."""
        number = Mailboxes.runs = Mailboxes.runs + 1
        self.org = self.do(self.admin.post("/system/orgs", {"name": f"org {number}"}))["ID"]
        for letter in "mn":
            self.add_domain(f"{letter}{number}.org")
        #: role ID -> domains that its holders administer
        self.roles: dict[int, list[int]] = {}
        for domain in self.domains:
            permissions = [{"permission": "DomainAdmin", "params": domain}]
            body = {"name": f"role {number} {domain}", "permissions": permissions}
            self.roles[self.do(self.admin.post("/system/roles", body))["ID"]] = [domain]

    def add_domain(self, name: str) -> None:
        """One more domain of the organisation."""
        domain = self.do(self.admin.make_domain(name, orgID=self.org))
        self.domains.append(domain)
        self.names[domain] = name

    def teardown(self) -> None:
        """Leaves the next run an empty organisation, and no roles. What was done has broken no promise."""
        self.do(assert_sound(self.admin.service.context.database))
        for domain in self.domains:
            self.do(self.admin.delete(f"/system/domains/{domain}?purge=true"))
        for role in self.roles:
            assert self.do(self.admin.get(f"/system/roles/{role}"))["users"] == []
            self.do(self.admin.delete(f"/system/roles/{role}"))

    def address(self, local: str, domain: int) -> str:
        """The address as it is stored."""
        return f"{local.lower()}@{self.names[domain]}"

    def owner(self, address: str) -> User | None:
        """Whose username or alias it is."""
        return next((user for user in self.users.values() if address in user.names), None)

    def everybody(self) -> list[str]:
        """Every address that can be named in a list."""
        return [name for user in self.users.values() for name in user.names] + OUTSIDE

    def move(self, old: str, new: str) -> None:
        """In every list, what was granted to the old address is granted to the new one; nobody stands there twice."""
        for user in self.users.values():
            for kind, addresses in user.lists.items():
                if old in addresses and old != new:
                    kept = [each for each in addresses if each != old] if new in addresses else addresses
                    user.lists[kind] = [new if each == old else each for each in kept]

    def forget(self, gone: list[User]) -> None:
        """Users who are gone stand in no list."""
        ids, names = {user.id for user in gone}, {name for user in gone for name in user.names}
        for user in gone:
            del self.users[user.id]
        for user in self.users.values():
            user.members -= ids
            for kind, addresses in user.lists.items():
                user.lists[kind] = [each for each in addresses if each not in names]

    @rule(target=users_made, which=st.integers(0, 1), local=st.sampled_from(LOCALS), alias=st.sampled_from(ALIASES))
    def create(self, which: int, local: str, alias: str) -> Any:
        """Creates a user with an alias, or is refused because a name is taken."""
        domain = self.domains[which]
        username, aliases = self.address(local, domain), [self.address(alias, domain)]
        body = {"username": local, "aliases": aliases, "status": 4}
        answer = self.do(self.admin.call("POST", f"/domains/{domain}/users", body))
        taken = any(self.owner(name) for name in [username, *aliases])
        assert answer.status == (400 if taken else 201), answer.body
        if taken:
            return multiple()
        user = User(answer.body["ID"], domain, username, aliases)
        self.users[user.id] = user
        return user.id

    @rule(
        target=users_made,
        user_id=consumes(users_made),
        local=st.sampled_from(LOCALS + ALIASES),
        aliases=st.none() | st.lists(st.sampled_from(LOCALS + ALIASES), max_size=3, unique=True),
        other=st.booleans(),
    )
    def rename(self, user_id: int, local: str, aliases: list[str] | None, other: bool) -> int:
        """Changes the username, and perhaps the aliases, some in the other domain, or is refused."""
        if user_id not in self.users:
            return user_id
        user = self.users[user_id]
        username = self.address(local, user.domain)
        body: dict[str, Any] = {"username": local}
        wanted = user.aliases
        if aliases is not None:
            elsewhere = next(domain for domain in self.domains if domain != user.domain)
            wanted = [self.address(alias, elsewhere if other else user.domain) for alias in aliases]
            body["aliases"] = wanted
        answer = self.do(self.admin.call("PATCH", user.path, body))
        owners = [self.owner(name) for name in [username, *wanted]]
        refused = any(owner not in (None, user) for owner in owners) or username in wanted
        assert answer.status == (400 if refused else 200), answer.body
        if not refused:
            before = user.names
            user.username, user.aliases = username, wanted
            for name in before:
                if name not in user.aliases or name == before[0]:
                    self.move(name, username)
        return user_id

    @rule(user_id=consumes(users_made))
    def delete(self, user_id: int) -> None:
        """Deletes a user, who may be gone already."""
        user = self.users.get(user_id)
        domain = user.domain if user else self.domains[0]
        answer = self.do(self.admin.call("DELETE", f"/domains/{domain}/users/{user_id}"))
        assert answer.status == (200 if user else 404)
        if user:
            self.forget([user])

    @rule(which=st.integers(0, 1))
    def purge(self, which: int) -> None:
        """Purges a domain, and makes it again, empty."""
        domain = self.domains.pop(which)
        self.do(self.admin.delete(f"/system/domains/{domain}?purge=true"))
        self.forget([user for user in self.users.values() if user.domain == domain])
        for user in self.users.values():
            for alias in [each for each in user.aliases if each.endswith(f"@{self.names[domain]}")]:
                user.aliases.remove(alias)
                self.move(alias, user.username)
        self.roles = {role: [each for each in about if each != domain] for role, about in self.roles.items()}
        self.add_domain(self.names[domain])

    @rule(user_id=users_made, kind=st.sampled_from(["delegates", "sendas"]), data=st.data())
    def put_list(self, user_id: int, kind: str, data: st.DataObject) -> None:
        """Replaces a list by some of all addresses, with repeats."""
        if user := self.users.get(user_id):
            addresses = data.draw(st.lists(st.sampled_from(self.everybody()), max_size=4))
            self.do(self.admin.put(f"{user.path}/{kind}", addresses))
            user.lists[kind] = list(dict.fromkeys(addresses))

    @rule(user_id=users_made, data=st.data())
    def put_members(self, user_id: int, data: st.DataObject) -> None:
        """Replaces those with access; a stranger among them changes nothing."""
        if user := self.users.get(user_id):
            usernames = data.draw(st.lists(st.sampled_from(self.everybody()), max_size=3))
            owners = [self.owner(name) for name in usernames]
            answer = self.do(self.admin.call("PUT", f"{user.path}/storeAccess", {"usernames": usernames}))
            assert answer.status == (400 if None in owners else 200), answer.body
            if None not in owners:
                user.members = {owner.id for owner in owners if owner}

    @rule(user_id=users_made, member_id=users_made, give=st.booleans())
    def change_member(self, user_id: int, member_id: int, give: bool) -> None:
        """Gives or takes access of one user."""
        user, member = self.users.get(user_id), self.users.get(member_id)
        if user is None or member is None:
            return
        if give:
            self.do(self.admin.post(f"{user.path}/storeAccess", {"username": member.username}))
            user.members.add(member.id)
            return
        answer = self.do(self.admin.call("DELETE", f"{user.path}/storeAccess/{member.username}"))
        assert answer.status == (200 if member.id in user.members else 404)
        user.members.discard(member.id)

    @rule(user_id=users_made, which=st.integers(0, 1), give=st.booleans(), through_role=st.booleans())
    def change_role(self, user_id: int, which: int, give: bool, through_role: bool) -> None:
        """Gives or takes a role, by the list of the user's roles or by that of the role's holders."""
        if user := self.users.get(user_id):
            role = list(self.roles)[which]
            user.roles = user.roles | {role} if give else user.roles - {role}
            if through_role:
                holders = [each.id for each in self.users.values() if role in each.roles]
                self.do(self.admin.patch(f"/system/roles/{role}", {"users": holders}))
            else:
                self.do(self.admin.patch(f"{user.path}/roles", {"roles": list(user.roles)}))

    @rule(user_id=users_made, through_store=st.booleans(), value=st.none() | TEXT)
    def set_property(self, user_id: int, through_store: bool, value: str | None) -> None:
        """Writes or removes a property, through the one operation or the other."""
        if user := self.users.get(user_id):
            if through_store:
                answer = self.do(self.admin.patch(f"{user.path}/storeProps", {"nickname": value}))
                assert answer["errors"] == {}
            else:
                self.do(self.admin.patch(user.path, {"properties": {"nickname": value}}))
            user.properties = {} if value is None else {"nickname": value}

    @rule(user_id=users_made, state=st.integers(0, 1), subject=st.none() | st.sampled_from(["", "Away", "Weg 🏖"]))
    def put_oof(self, user_id: int, state: int, subject: str | None) -> None:
        """Sets the state and a subject, or removes that."""
        if user := self.users.get(user_id):
            self.do(self.admin.put(f"{user.path}/oof", {"state": state, "internalSubject": subject}))
            user.oof = {"state": state, "externalAudience": 0}
            if subject is not None:
                user.oof["internalSubject"] = subject

    @rule(user_id=users_made, device=st.sampled_from(DEVICES), data=st.data())
    def report(self, user_id: int, device: str, data: st.DataObject) -> None:
        """A device reports under any name of its user, and hears what is due, a resync once."""
        if user := self.users.get(user_id):
            name = data.draw(st.sampled_from(user.names))
            due = self.do(self.admin.put(f"/service/sync/{name}/{device}", {"devicetype": "phone"}))["data"]
            assert due["resync"] == (device in user.resyncs)
            user.resyncs.discard(device)
            assert due["status"] == user.devices.setdefault(device, due["status"])
            assert due["status"] in {0, 1} or device in user.devices

    @rule(user_id=users_made, device=st.sampled_from(DEVICES))
    def resync(self, user_id: int, device: str) -> None:
        """Marks a device, if it is there."""
        if user := self.users.get(user_id):
            answer = self.do(self.admin.call("PUT", f"{user.path}/sync/{device}/resync"))
            assert answer.status == (200 if device in user.devices else 404)
            if device in user.devices:
                user.resyncs.add(device)

    @rule(user_id=users_made, device=st.sampled_from(DEVICES), status=st.sampled_from([2, 16]), right=st.booleans())
    def wipe(self, user_id: int, device: str, status: int, right: bool) -> None:
        """Asks for a wipe, with the right password or a wrong one; one under way stays as it is."""
        if user := self.users.get(user_id):
            body = {"password": ADMIN_PASSWORD if right else "wrong", "status": status}
            answer = self.do(self.admin.call("POST", f"{user.path}/sync/{device}/wipe", body))
            assert answer.status == (200 if right else 403)
            if right and user.devices.get(device, 0) < 2:
                user.devices[device] = status

    @rule(user_id=users_made, device=st.sampled_from(DEVICES))
    def cancel(self, user_id: int, device: str) -> None:
        """Cancels a wipe, if one is pending."""
        if user := self.users.get(user_id):
            self.do(self.admin.delete(f"{user.path}/sync/{device}/wipe"))
            if user.devices.get(device, 0) in UNDER_WAY:
                user.devices[device] = 1

    @rule(user_id=users_made, device=st.none() | st.sampled_from(DEVICES))
    def remove_states(self, user_id: int, device: str | None) -> None:
        """Removes one device, or the states of all but those whose wipe is pending."""
        if user := self.users.get(user_id):
            if device is None:
                self.do(self.admin.delete(f"{user.path}/sync"))
                user.resyncs |= set(user.devices)
                user.devices = {name: status for name, status in user.devices.items() if status in UNDER_WAY}
                return
            answer = self.do(self.admin.call("DELETE", f"{user.path}/sync/{device}"))
            assert answer.status == (200 if device in user.devices else 404)
            if device in user.devices:
                # Its state is gone: should it come back, it has to start over.
                del user.devices[device]
                user.resyncs.add(device)

    @invariant()
    def service_and_model_agree(self) -> None:
        """Every user is what the model says, and there are no others."""
        self.do(self.compare())

    async def compare(self) -> None:
        """Reads everything at once."""
        for domain in self.domains:
            page = await self.admin.get(f"/domains/{domain}/users?level=0&limit=100")
            expected = [(user.id, user.username) for user in self.users.values() if user.domain == domain]
            assert [(each["ID"], each["username"]) for each in page["data"]] == sorted(expected)
            assert page["count"] == len(expected)
        for role, about in self.roles.items():
            found = await self.admin.get(f"/system/roles/{role}")
            assert [permission["params"] for permission in found["permissions"]] == about
            holders = [user.id for user in self.users.values() if role in user.roles]
            assert [user["ID"] for user in found["users"]] == sorted(holders)
        await asyncio.gather(*(self.compare_user(user) for user in self.users.values()))

    async def compare_user(self, user: User) -> None:
        """One user, in all rooms."""
        shown = await self.admin.get(user.path)
        assert (shown["username"], shown["aliases"]) == (user.username, user.aliases)
        assert {role["ID"] for role in shown["roles"]} == user.roles
        assert shown["properties"].get("nickname") == user.properties.get("nickname")
        assert (await self.admin.get(f"{user.path}/storeProps?properties=nickname"))["data"] == user.properties
        for kind, addresses in user.lists.items():
            assert (await self.admin.get(f"{user.path}/{kind}"))["data"] == addresses
        members = (await self.admin.get(f"{user.path}/storeAccess"))["data"]
        assert {member["ID"]: member["username"] for member in members} == {
            member: self.users[member].username for member in user.members
        }
        assert await self.admin.get(f"{user.path}/oof") == user.oof
        devices = (await self.admin.get(f"{user.path}/sync"))["data"]
        assert {device["deviceid"]: device["wipeStatus"] for device in devices} == user.devices


def test_random_sequences() -> None:
    """Whatever is done in whatever order, the service is as the model says, and no row is left behind."""

    async def start(stack: AsyncExitStack) -> Service:
        config = Config(database=":memory:", admin_password=ADMIN_PASSWORD)
        return await stack.enter_async_context(Service.started(config))

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        service = runner.run(start(stack))
        try:
            Mailboxes.runner = runner
            Mailboxes.admin = runner.run(service.login("admin", ADMIN_PASSWORD))
            run_state_machine_as_test(Mailboxes, settings=settings(max_examples=40, stateful_step_count=30))
            leftovers = runner.run(count_leftovers(service))
            assert leftovers == {}
        finally:
            runner.run(stack.aclose())


async def count_leftovers(service: Service) -> dict[str, int]:
    """Rows in tables of users' things, once every domain has been purged: only the administrator's name is left."""
    database = service.context.database
    await assert_sound(database)
    counts = {}
    for table in await tables_of_users(database):
        count = await database.fetch_value(f"SELECT count(*) FROM {table} WHERE user_id <> 0")
        if count:
            counts[table] = count
    return counts
