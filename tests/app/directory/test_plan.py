"""What an update would do: the plan, without a network and without a database."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.differences import Changes, differences
from postroom.app.directory.mapping import Entry, MappedUser
from postroom.app.directory.plan import Action, Planner, ReadEntry, Snapshot, Step, read_entry
from postroom.app.directory.scope import Scope
from postroom.schemas.ldap_text import server_addresses
from postroom.schemas.values.text import fold
from postroom.storage.domains import DomainRow
from postroom.storage.ldap_users import Linked, StoredUser

TITLE, COMMENT, QUOTA = 0x3A17001F, 0x3004001F, 0x3FF50003
CONFIG = DirectoryConfig(
    servers=server_addresses("ldap://127.0.0.1"),
    base_dn="dc=example",
    object_id="uid",
    username="mail",
    aliases="mailAlias",
    altname="uid",
    properties={TITLE: [["title"]], COMMENT: [["description"]], QUOTA: [["quota"]]},
)
_ROWS = [
    DomainRow(1, 7, "one.org", 10, 0, 0),
    DomainRow(2, 7, "two.org", 1, 0, 0),
    DomainRow(3, None, "alone.net", 10, 0, 0),
]
DOMAINS = {row.domainname: row for row in _ROWS}


def scope(*names: str, create: bool = True) -> Scope:
    """The domains of these names, all of them without any."""
    return Scope({DOMAINS[name].id: DOMAINS[name] for name in names or DOMAINS}, DOMAINS, create)


def entry(uid: str, mail: str | None = None, **attributes: list[str]) -> Entry:
    """Somebody of one.org, or with another address."""
    return Entry(f"uid={uid}", {"mail": [mail or f"{uid}@one.org"], "uid": [uid], **attributes}, object_id=uid.encode())


def plan(entries: list[Entry], snapshot: Snapshot | None = None, within: Scope | None = None) -> list[Step]:
    """The steps for a page."""
    within = within or scope()
    return Planner(CONFIG, within).plan([read_entry(each, CONFIG, within) for each in entries], snapshot or Snapshot())


def stored(uid: str, **fields: object) -> StoredUser:
    """The user as an update has left them."""
    usual = StoredUser(5, 1, f"{uid}@one.org", 0, "", uid, altnames=((uid, 99),))
    return replace(usual, **fields)  # type: ignore[arg-type]


def test_new_people_go_where_their_address_is() -> None:
    """Each goes to the domain of the address; who has one elsewhere is nobody here, and is not mentioned."""
    steps = plan([entry("a"), entry("b", "B@Two.ORG"), entry("c", "c@foreign.net")])
    assert [(step.action, step.username, step.domain_id) for step in steps] == [
        (Action.CREATE, "a@one.org", 1),
        (Action.CREATE, "b@two.org", 2),
    ]
    assert plan([entry("b", "b@two.org")], within=scope("one.org")) == []
    assert plan([entry("a")], within=scope(create=False)) == []


def test_the_last_place_is_given_away_once() -> None:
    """A domain with room for one more takes one more, over all pages of a run."""
    planner = Planner(CONFIG, scope())
    pages = [[read_entry(entry(name, f"{name}@two.org"), CONFIG, scope())] for name in "abc"]
    found = [step.code for page in pages for step in planner.plan(page, Snapshot())]
    assert found == [201, 400, 400]


def test_names_that_are_taken() -> None:
    """A username, an alias and an altname of somebody stand in the way of a new user, an address twice as well."""
    for kind in ("username", "alias", "altname"):
        (step,) = plan([entry("a")], Snapshot(owners={"a@one.org": [(kind, 9)]}))
        assert (step.action, step.code) == (Action.SKIP, 409)
    first, second = plan([entry("a", "x@one.org"), entry("b", "X@one.org")])
    assert (first.action, second.code) == (Action.CREATE, 409)


def test_names_are_claimed_folded() -> None:
    """A name that an earlier entry is going to have is taken, in whatever letters and whatever kind of name it is."""
    first, second, third = plan(
        [
            entry("a", "straße@one.org", mailAlias=["x@one.org"]),
            entry("b", "b@one.org", mailAlias=["X@one.org", "STRASSE@one.org", "b2@one.org"]),
            entry("c", "X@one.org"),
        ]
    )
    assert first.shown["aliases"] == [[], ["x@one.org"]]
    assert second.shown["aliases"] == [[], ["b2@one.org"]]
    assert second.message.count("in use") == 2
    assert (third.action, third.code) == (Action.SKIP, 409)
    assert "alias" in third.message
    first, second = plan([entry("a"), replace(entry("b"), attributes={"mail": ["b@one.org"], "uid": ["A"]})])
    assert "altnames" not in second.shown
    assert second.message == "The altname A is in use already and was left out"


def test_without_contacts_nobody_of_them_is_touched() -> None:
    """With enableContacts off a contact is neither created nor updated, and a linked one is no reason to skip."""
    planner = Planner(replace(CONFIG, contacts=False), scope())
    guest = read_entry(replace(entry("g", "g@far.away", title=["Dr"]), is_contact=True), CONFIG, scope())
    assert planner.plan([guest], Snapshot()) == []
    (step,) = planner.plan([guest], Snapshot(linked={"g": [stored("g", status=5)]}))
    assert (step.action, step.shown) == (Action.UNCHANGED, {})
    linked = Linked(5, 1, "g@one.org", "g", 5)
    assert planner.missing(linked, exists=True, unlink=True).action is Action.UNCHANGED
    assert planner.missing(linked, exists=False, unlink=True).action is Action.UNLINK
    assert planner.missing(replace(linked, status=0), exists=True, unlink=True).action is Action.SKIP


def test_unusable_entries_are_mentioned_to_who_sees_everything() -> None:
    """An entry without an address is skipped with its reason, unless only some domains are looked at."""
    nobody = Entry("uid=x", {"uid": ["x"]}, object_id=b"x")
    (step,) = plan([nobody])
    assert (step.action, step.code, step.user_id) == (Action.SKIP, 400, None)
    assert "mail" in step.message
    assert plan([nobody], within=scope("one.org")) == []
    (step,) = plan([nobody], Snapshot(linked={"x": [stored("x")]}), scope("one.org"))
    assert (step.action, step.user_id) == (Action.SKIP, 5)


def test_updates_name_what_differs() -> None:
    """A linked user is updated by exactly the fields that differ, and unchanged when none does."""
    user = stored("a", properties={TITLE: "Dr", COMMENT: "old", QUOTA: 5})
    linked = Snapshot(linked={"a": [user]})
    (step,) = plan([entry("a", title=["Dr"], mailAlias=["smtp:A2@one.org", "x@alone.net"])], linked)
    assert step.action is Action.UPDATE
    assert step.shown == {"aliases": [[], ["a2@one.org"]], "comment": ["old", None]}
    assert "x@alone.net" in step.message
    (step,) = plan([entry("a", title=["Dr"], description=["old"])], linked)
    assert (step.action, step.shown, step.mapped) == (Action.UNCHANGED, {}, None)


def test_whoever_is_linked_in_another_domain_is_not_created_again() -> None:
    """An address that has moved to another domain makes a reason to skip and no second user."""
    linked = Snapshot(linked={"a": [stored("a")]})
    (step,) = plan([entry("a", "a@two.org")], linked)
    assert (step.action, step.user_id, step.code) == (Action.SKIP, 5, 400)
    assert plan([entry("a", "a@two.org")], linked, scope("two.org")) == []


def test_contacts_have_one_home() -> None:
    """A contact goes once to an organisation and once to a domain without one, and only where it is not yet."""
    guest = replace(entry("g", "g@far.away"), is_contact=True)
    assert [step.domain_id for step in plan([guest])] == [1, 3]
    linked = Snapshot(linked={"g": [stored("g", domain_id=2, status=5)]})
    assert [(step.action, step.domain_id) for step in plan([guest], linked)] == [
        (Action.UNCHANGED, 2),
        (Action.CREATE, 3),
    ]
    assert plan([guest], linked, scope("one.org")) == []


def test_the_missing_stay_unless_told_otherwise() -> None:
    """Who was not found is skipped; unlinked only when asked for, and never when the object is there."""
    planner, user = Planner(CONFIG, scope()), Linked(5, 1, "a@one.org", "a", 0)
    assert planner.missing(user, exists=False, unlink=False).action is Action.SKIP
    assert planner.missing(user, exists=True, unlink=True).action is Action.SKIP
    assert planner.missing(user, exists=False, unlink=True).shown == {"ldapID": ["a", None]}


def test_an_empty_page_has_no_plan() -> None:
    """Nobody found, nothing to do."""
    assert plan([]) == []
    assert list(ReadEntry("x", None, "no address").names()) == []


names = st.sampled_from([f"{name}@one.org" for name in ("a", "b", "straße", "strasse", "é", "e\u0301")])
texts = st.dictionaries(st.sampled_from([TITLE, COMMENT]), st.sampled_from(["x", "y"]))


@given(
    user=st.builds(
        StoredUser, st.just(5), st.just(1), names, st.sampled_from([0, 1, 5]), st.sampled_from(["", "de_AT"]),
        st.sampled_from([None, "o"]), st.lists(names, unique=True).map(tuple),
        st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from([0, 99])), unique_by=lambda pair: pair[0]).map(tuple),
        texts,
    ),
    mapped=st.builds(
        MappedUser, names, st.lists(names, unique=True).map(tuple), st.sampled_from([None, "p", "q", "r"]), texts,
        st.sets(st.sampled_from([TITLE, COMMENT])).map(frozenset), st.none(), st.just(False), st.just(()),
    ),
)  # fmt: skip
def test_a_second_update_finds_nothing_to_do(user: StoredUser, mapped: MappedUser) -> None:
    """Whatever differs between a user and an entry, once it is written nothing differs any more."""
    mapped = replace(
        mapped,
        removed=mapped.removed - mapped.properties.keys(),
    )
    changes, _ = differences(user, mapped, CONFIG, {}, "o", "en_GB", lambda _: True)
    keys = [fold(name) for name in (changes.username or user.username, *(changes.aliases or ()))]
    assert len(set(keys)) == len(keys)
    again, _ = differences(written(user, changes), mapped, CONFIG, {}, "o", "en_GB", lambda _: True)
    assert again == Changes()
    assert not again


def written(user: StoredUser, changes: Changes) -> StoredUser:
    """The user after the changes."""
    properties = {**user.properties, **changes.properties}
    return replace(
        user,
        username=changes.username or user.username,
        aliases=user.aliases if changes.aliases is None else changes.aliases,
        altnames=user.altnames if changes.altnames is None else changes.altnames,
        ldap_id=changes.fields.get("ldapID", user.ldap_id),
        lang=changes.fields.get("lang", user.lang),
        properties={tag: value for tag, value in properties.items() if tag not in changes.removed},
    )
