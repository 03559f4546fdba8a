"""Pages of users, compared with a plain implementation that reads everybody and knows no index."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from postroom.schemas.values.proptags import PropTag, Value, find
from postroom.schemas.values.queries import Cursor, UserQuery
from postroom.schemas.values.text import fold
from postroom.storage import long_pages, user_exceptions
from postroom.storage.database import Database
from postroom.storage.domains import insert_domain
from postroom.storage.properties import delete_property, write_properties
from postroom.storage.sqlite import sqlite3
from postroom.storage.user_list import select_users
from postroom.storage.user_search import grams, matching
from postroom.storage.users import delete_user, insert_user, replace_addresses, update_fields, update_username

pytestmark = pytest.mark.sqlite

#: Parts of names: common beginnings, other scripts, marks, what a query language might take for its own.
PARTS = (
    "an", "ann", "anna", "hannah", "nn", "a", "schmidt", "Straße", "strasse", "Ünal", "u\u0308nal", "İ", "ﬁ", "fi",
    "\u00b4", "Ω", "日本", "本語", "👩\u200d🚀", "o'neill",
    '"', "*", "x-y", "1", "12", "3", "aaaa", "aaa", "(", "{a}", "-", "^",
)  # fmt: skip
#: Words that nobody types, and one of nothing but a character that is not shown.
ODD_WORDS = ("\u200b", "AND", "username", "annaann", "nan", "n.n", "0001", "99999999999999999999", "zzz")


def tag(name: str) -> PropTag:
    """A known property."""
    found = find(name)
    assert found is not None
    return found


TEXTS = [tag("displayname"), tag("comment"), tag("smtpaddress")]
NUMBERS = [tag("displaytypeex"), tag("messagesizeextended")]
OTHERS = [tag("creationtime"), tag("thumbnailphoto")]
FLAGS = ["pop3_imap", "chat"]


@dataclass
class User:
    """What the plain implementation knows of a user."""

    id: int
    domain: int
    username: str
    status: int
    flags: dict[str, int]
    aliases: list[str]
    altnames: list[str]
    properties: dict[PropTag, Value] = field(default_factory=dict)


@dataclass
class Store:
    """A filled database and the same in plain objects. Domain -> its organisation."""

    database: Database
    domains: dict[int, int]
    users: list[User]


class Chance(random.Random):
    """Names and properties at random."""

    #: Whether everybody has a display type, nearly always the same.
    has_types = False

    def name(self) -> str:
        """A name of some parts."""
        return ".".join(self.choice(PARTS) for _ in range(self.randint(1, 3)))

    def properties(self) -> dict[PropTag, Value]:
        """Some properties; texts and numbers of which several users have the same."""
        made: dict[PropTag, Value] = {}
        for text in TEXTS:
            if self.random() < 0.7:
                made[text] = " ".join(self.choice(PARTS) for _ in range(self.randint(1, 3)))
        for number in NUMBERS:
            if self.random() < 0.7:
                made[number] = self.choice((0, 1, 7, 8, 2**31 - 1))
        if self.has_types:
            made[NUMBERS[0]] = self.choice((0, 0, 0, 0, 0, 0, 7, 9))
        if self.random() < 0.5:
            made[OTHERS[0]] = f"20{self.randint(10, 12)}-01-01 08:00:00"
        if self.random() < 0.5:
            made[OTHERS[1]] = self.choice(("YWJj", "QUJD", ""))
        return made


def fill(connection: sqlite3.Connection, chance: Chance, domains: list[int], number: int) -> list[User]:
    """Adds users to the domains in turn, and then changes and deletes some."""
    users = []
    for index in range(number):
        domain = chance.choice(domains)
        user = User(
            id=0,
            domain=domain,
            username=f"{chance.name()}{index}@d{domain}.org",
            status=chance.choice((0, 0, 0, 1, 3, 4, 5)),
            flags={flag: chance.randint(0, 1) for flag in FLAGS},
            aliases=[f"{chance.name()}a{index}@d{domain}.org"] * chance.randint(0, 1),
            altnames=[f"{chance.name()}{index}" * chance.randint(1, 2)] * chance.randint(0, 1),
            properties=chance.properties(),
        )
        names = [("alias", alias, 0) for alias in user.aliases] + [("altname", name, 0) for name in user.altnames]
        fields = {"status": user.status, **user.flags}
        user.id = insert_user(connection, domain, user.username, None, fields, names)
        write_properties(connection, user.id, user.properties)
        users.append(user)
    return users


def change(connection: sqlite3.Connection, chance: Chance, users: list[User]) -> None:
    """Changes some users in every way, and deletes some."""
    for user in chance.sample(users, len(users) // 3):
        match chance.randrange(5):
            case 0:
                user.username = f"{chance.name()}r{user.id}@d{user.domain}.org"
                update_username(connection, user.id, user.username)
            case 1:
                user.aliases = [
                    f"{chance.name()}b{user.id}-{n}@d{user.domain}.org" for n in range(chance.randint(0, 3))
                ]
                replace_addresses(connection, user.id, "alias", [(alias, 0) for alias in user.aliases])
            case 2:
                user.status = chance.choice((0, 1, 3, 4))
                update_fields(connection, user.id, {"status": user.status})
            case 3:
                gone = chance.choice([*TEXTS, *NUMBERS[1 if chance.has_types else 0 :]])
                delete_property(connection, user.id, gone.tag)
                user.properties.pop(gone, None)
                more = chance.properties()
                write_properties(connection, user.id, more)
                user.properties.update(more)
            case 4:
                delete_user(connection, user.id)
                users.remove(user)


def make_query(chance: Chance, users: list[User]) -> UserQuery:
    """A query as a client might send it, with more of everything."""
    query = UserQuery(level=0, limit=chance.choice((0, 1, 5, 50, 1000)), offset=chance.choice((0, 0, 1, 7, 30, 500)))
    changes: dict[str, Any] = {}
    if chance.random() < 0.6:
        words = [chance.choice((*PARTS, *ODD_WORDS, str(chance.choice(users).id))) for _ in range(chance.randint(1, 3))]
        changes["words"] = list(dict.fromkeys(" ".join(words).split()))
        changes["match_tags"] = [each.tag for each in chance.sample(TEXTS, chance.choice((0, 0, 1, 1, 2, 3)))]
        if chance.random() < 0.3:
            fields = ("ID", "username", "aliases", "altnames")
            changes["match_fields"] = frozenset(chance.sample(fields, chance.randint(0, 3)))
    if chance.random() < 0.3:
        number, text = chance.choice(NUMBERS), chance.choice([*TEXTS, OTHERS[0]])
        values: list[tuple[int, Any]] = [
            (number.tag, chance.sample((0, 1, 7, 8, 9), chance.randint(1, 3)) * chance.choice((1, 1, 9))),
            (
                text.tag,
                [chance.choice((*PARTS, "2010-01-01 08:00:00", "ANNA")) for _ in range(chance.choice((1, 3, 30)))],
            ),
            (OTHERS[1].tag, ["YWJj"]),
        ]
        changes["filter_tags"] = chance.sample(values, chance.choice((1, 1, 2)))
    if chance.random() < 0.3:
        changes["status"] = chance.choice(([0], [4], [1, 2, 3], [4, 5], [0, 4], [0, 0, 99], [99], []))
    if chance.random() < 0.1:
        changes["ids"] = [user.id for user in chance.sample(users, 5)]
    if chance.random() < 0.1:
        changes["username"] = chance.choice(users).username.upper()
    if chance.random() < 0.15:
        changes["org_ids"] = chance.choice(([0], [1], [0, 2]))
    keys: list[str | int] = ["ID", "username", "domainID", "status", *FLAGS]
    keys += [each.tag for each in (*TEXTS, *TEXTS, *NUMBERS, *OTHERS)]
    if chance.random() < 0.6:
        changes["sort"] = [(key, chance.random() < 0.5) for key in chance.sample(keys, chance.randint(1, 3))]
    if chance.random() < 0.25:
        changes["offset"] = 0
        changes["sort"] = [("ID", chance.random() < 0.5)] * chance.randint(0, 1)
        # Of a user of any domain, of somebody who is deleted, and of nobody.
        changes["cursor"] = Cursor(chance.choice((0, chance.randint(1, 170), 2**32, 2**63 - 1)), chance.random() < 0.6)
    return UserQuery(**{name: changes.get(name, getattr(query, name)) for name in UserQuery.__slots__})


def folded(value: Value) -> str:
    """A property as it is searched."""
    return fold(str(value))


def is_found(user: User, orgs: dict[int, int], query: UserQuery) -> bool:
    """Whether the query finds the user."""
    names = {"username": [user.username], "aliases": user.aliases, "altnames": user.altnames}
    texts = [fold(name) for kind, those in names.items() if kind in query.match_fields for name in those]
    of_tag = {proptag.tag: value for proptag, value in user.properties.items()}
    texts += [folded(of_tag[number]) for number in query.match_tags if number in of_tag]

    def has(word: str) -> bool:
        is_number = "ID" in query.match_fields and word.isascii() and word.isdigit()
        return any(fold(word) in text for text in texts) or (is_number and int(word) == user.id)

    def has_value(number: int, values: list[Any]) -> bool:
        value = of_tag.get(number)
        return value is not None and any(folded(value) == fold(str(single)) for single in values)

    return (
        all(has(word) for word in query.words)
        and all(has_value(number, list(values)) for number, values in query.filter_tags)
        and (query.status is None or user.status in query.status)
        and (query.ids is None or user.id in query.ids)
        and (query.username is None or fold(query.username) == fold(user.username))
        and (query.org_ids is None or orgs[user.domain] in query.org_ids)
    )


def in_order(users: list[User], query: UserQuery) -> list[User]:
    """The users sorted; who has not the property comes last."""
    ordered = sorted(users, key=lambda user: user.id)
    for key, descending in reversed(query.sort):
        values = {user.id: sort_value(user, key) for user in ordered}
        having = [user for user in ordered if values[user.id] is not None]
        rest = [user for user in ordered if values[user.id] is None]
        ordered = sorted(having, key=lambda user: values[user.id], reverse=descending)
        ordered += rest
    return ordered


def shown(found: list[User], query: UserQuery) -> tuple[list[User], dict[str, int]]:
    """The page of those who are found, in order, and what else the answer says."""
    if query.cursor is None:
        return found[query.offset : query.offset + query.limit], {}
    cursor, is_after = query.cursor
    is_above = is_after is not (query.sort == [("ID", True)])
    beyond = [user for user in found if (user.id > cursor if is_above else user.id < cursor)]
    if is_after:
        page = beyond[: query.limit]
        return page, {"nextAfter": page[-1].id} if page and page != beyond else {}
    page = beyond[-query.limit :] if query.limit else []
    return page, {"nextBefore": page[0].id} if page and page != beyond else {}


def sort_value(user: User, key: str | int) -> Any:
    """What a user is sorted by. SQLite compares texts as UTF-8."""
    if isinstance(key, str):
        known = {"ID": user.id, "username": user.username.encode(), "domainID": user.domain, "status": user.status}
        return {**known, **user.flags}[key]
    value = next((value for proptag, value in user.properties.items() if proptag.tag == key), None)
    return folded(value).encode() if isinstance(value, str) else value


@pytest.fixture(params=range(4))
async def store(request: pytest.FixtureRequest, database: Database) -> Store:
    """Three domains of uneven size, filled and changed at random."""
    chance = Chance(request.param)
    chance.has_types = request.param % 2 == 1
    first = [await database.write(insert_domain, f"d{n}.org", f"d{n}.org", {"maxUser": 999}) for n in range(3)]

    def organise(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO orgs (id, name, key) VALUES (1, 'One', 'one'), (2, 'Two', 'two')")
        connection.execute("UPDATE domains SET org_id = 1 WHERE id = ?", (first[1],))

    await database.write(organise)
    users = await database.write(fill, chance, [first[0], *first[1:2] * 4, first[2]], 160)
    await database.write(change, chance, users)
    await database.write(change, chance, users)
    return Store(database, {first[0]: 0, first[1]: 1, first[2]: 0}, users)


async def test_pages_are_those_of_a_plain_implementation(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is found, in which order, the count, and where to go on: for random queries, in each domain and in all,
    in one piece and in several.
    """
    monkeypatch.setattr(long_pages, "_SHORT", 7)
    monkeypatch.setattr(user_exceptions, "_FEW", 12)
    chance = Chance(7)
    hits, further = 0, 0
    for _ in range(900):
        query = make_query(chance, store.users)
        domain = chance.choice((*store.domains, None))
        page = await select_users(store.database, domain, query, caller=1)
        long_page = await long_pages.select_long_page(store.database, domain, query, caller=1)
        assert long_page is not None
        assert b"".join([piece async for piece in long_page.pieces()]) == page
        members = [user for user in store.users if domain in (None, user.domain)]
        expected = in_order([user for user in members if is_found(user, store.domains, query)], query)
        users, goes_on = shown(expected, query)
        answer = json.loads(page or b"")
        assert [each["ID"] for each in answer.pop("data")] == [user.id for user in users], (domain, query)
        assert answer == {"count": len(expected), **goes_on}, (domain, query)
        hits += bool(users)
        further += bool(goes_on)
    assert hits > 120
    assert further > 15


async def test_no_row_waits_for_the_search(store: Store) -> None:
    """After a commit everybody who has a domain is in the search index, once, and nobody else."""
    rows = "SELECT id FROM user_search_docsize ORDER BY id"
    users = "SELECT (domain_id << 32) + id FROM users WHERE domain_id IS NOT NULL ORDER BY 1"
    assert await store.database.fetch_all(rows) == await store.database.fetch_all(users)
    assert await store.database.fetch_value("SELECT count(*) FROM search_due") == 0


async def test_counts_by_display_type(store: Store) -> None:
    """They are kept whatever changes: the type, the status, users who come and go, whole domains; there is no row of
    nobody.
    """
    counted = """
        SELECT u.domain_id, u.status, p.number, count(*) FROM properties p JOIN users u ON u.id = p.user_id
         WHERE p.name = 'displaytypeex' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
    kept = "SELECT * FROM display_type_counts ORDER BY domain_id, status, display_type"
    rows = await store.database.fetch_all(kept)
    assert len(rows) > 8
    assert rows == await store.database.fetch_all(counted)
    await store.database.write(lambda c: c.execute("DELETE FROM domains WHERE id = ?", (rows[0][0],)).close())
    assert await store.database.fetch_all(kept) == await store.database.fetch_all(counted)
    change_all = "UPDATE properties SET value = 7, number = 7 WHERE name = 'displaytypeex'"
    await store.database.write(lambda c: c.execute(change_all).close())
    assert await store.database.fetch_all(kept) == await store.database.fetch_all(counted)
    await store.database.write(lambda c: c.execute("DELETE FROM properties").close())
    assert await store.database.fetch_all(kept) == []


async def test_a_user_stays_in_the_domain(store: Store) -> None:
    """The search row and the properties hold the domain, so no code path can change it."""
    with pytest.raises(sqlite3.IntegrityError, match="cannot change the domain"):
        await store.database.write(lambda c: c.execute("UPDATE users SET domain_id = 1 + domain_id % 2").close())


def test_no_phrase_goes_from_one_value_to_the_next() -> None:
    """Pairs of two values never stand beside each other, also where they would overlap."""
    assert grams("abc\nbcd").split() == ["ab", "bc", "a", "bc", "cd", "b", "a", "b", "c", "d"]
    assert matching(["aliases"], ["abcd"])[1] == ('{aliases}: ("ab bc cd")',)
