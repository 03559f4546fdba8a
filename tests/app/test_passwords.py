"""Hashes: made with Argon2id, verified also where they come from elsewhere."""

import asyncio
from collections.abc import Iterator

import legacycrypt
import pytest

from postroom.app.auth.passwords import _DUMMY_HASH, Passwords, check_new_password, verify_hash
from postroom.app.errors import InvalidError
from tests.support.service import ADMIN_PASSWORD, Service

pytestmark = pytest.mark.genuine

SALTS = ["$6$saltsalt", "$5$saltsalt", "$2b$04$abcdefghijklmnopqrstuu", "$y$j75$abcdefghijklmnop$"]


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """Two threads that hash."""
    made = Passwords()
    yield made
    made.close()


async def test_hashes_are_argon2id_and_salted(passwords: Passwords) -> None:
    """The same password has another hash each time, and each verifies."""
    one, other = await asyncio.gather(passwords.hash("päss\u2028word"), passwords.hash("päss\u2028word"))
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other
    assert await passwords.verify(one, "päss\u2028word")
    assert not await passwords.verify(one, "pass\u2028word")
    assert not passwords.needs_rehash(one)


@pytest.mark.parametrize("salt", SALTS)
async def test_foreign_hashes_verify(passwords: Passwords, salt: str) -> None:
    """Hashes that crypt() made count, for the right password only, and want to be replaced."""
    stored = legacycrypt.crypt("correct", salt)
    assert await passwords.verify(stored, "correct")
    assert not await passwords.verify(stored, "wrong")
    assert not await passwords.verify(stored, "correct\0")
    assert passwords.needs_rehash(stored)


@pytest.mark.parametrize("stored", ["", "*", "!", "x", "$", "$6$", "$argon2id$broken", "$unknown$x", "plain", "$6$\0"])
def test_what_is_no_hash_never_verifies(stored: str) -> None:
    """A broken or locked entry lets nobody in, whatever is typed."""
    for attempt in ("", stored, "x", "plain"):
        assert not verify_hash(stored, attempt)


def test_the_hash_of_nobody_costs_as_much_as_any() -> None:
    """What unknown names are checked against has the costs of a hash made today."""
    assert not Passwords.needs_rehash(_DUMMY_HASH)


@pytest.mark.parametrize("stored", ["$argon2id$broken", *SALTS])
async def test_foreign_hashes_cost_no_less(passwords: Passwords, stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a hash of another kind, or one that is broken, one of today's costs is computed."""
    costs: list[str] = []

    def verify(stored: str, password: str) -> bool:
        costs.append(stored)
        return verify_hash(stored, password)

    monkeypatch.setattr("postroom.app.auth.passwords.verify_hash", verify)
    assert not await passwords.verify(stored, "x")
    assert costs == [stored, _DUMMY_HASH]


async def test_no_hash_is_a_no(passwords: Passwords) -> None:
    """Who has no hash cannot log in."""
    assert not await passwords.verify(None, "x")


@pytest.mark.parametrize("wrong", [None, "", "a\0b", "x" * 513, "short"])
def test_new_passwords_have_rules(wrong: str | None) -> None:
    """What breaks a rule is refused by a reason that does not show it."""
    with pytest.raises(InvalidError) as refused:
        check_new_password(wrong, 6, "new")
    assert not wrong or wrong not in refused.value.message


@pytest.mark.parametrize("salt", SALTS)
async def test_foreign_hash_is_replaced_at_login(service: Service, salt: str) -> None:
    """After a login the store holds an Argon2id hash of the same password, and tokens given out before still count."""
    admin = await service.login("admin", ADMIN_PASSWORD)
    database = service.context.database
    foreign = legacycrypt.crypt(ADMIN_PASSWORD, salt)

    def plant(connection: object) -> None:
        connection.execute("UPDATE users SET password = ? WHERE id = 0", (foreign,))  # type: ignore[attr-defined]

    await database.write(plant)
    recorded = await database.fetch_value("SELECT count(*) FROM audit")
    await service.login("admin", ADMIN_PASSWORD)
    # Whoever looks for a change of the password must not find this one.
    assert await database.fetch_value("SELECT count(*) FROM audit") == recorded
    stored = await database.fetch_value("SELECT password FROM users WHERE id = 0")
    assert stored.startswith("$argon2id$")
    await admin.get("/profile")
    await service.login("admin", ADMIN_PASSWORD)
