"""Fills an empty store from a seed, and reads one from a store."""

from collections.abc import Mapping
from typing import Any

from postroom.app.auth.api_tokens import hash_of
from postroom.app.auth.given_hashes import check_given_hash
from postroom.app.auth.passwords import check_new_password
from postroom.app.errors import InvalidError
from postroom.app.services.api_tokens import expiry
from postroom.app.services.context import Context
from postroom.app.transactions import seeds
from postroom.app.transactions.records import Moment
from postroom.app.transactions.seeds import Planting, at
from postroom.schemas.values.users import STATUS_CONTACT, STATUS_SHARED
from postroom.storage.seed_extent import Extent
from postroom.storage.seeds import read_seed


async def plant(context: Context, seed: Mapping[str, Any], password: str) -> None:
    """Stores everything in a loaded SeedSchema, or nothing. `password` is that of users whose seed has none.

    Raises RefusedSeedError.
    """
    hashes = []
    for number, user in enumerate(seed["users"]):
        with at("users", number):
            hashes.append(await _hash_of(context, user, password))
    now, timezone = context.clock.unix(), context.config.timezone
    tokens = []
    for number, token in enumerate(seed["tokens"]):
        with at("tokens", number):
            tokens.append((token.get("tokenHash") or hash_of(token["token"]), expiry(token, now, timezone)))
    planting = Planting(hashes, tokens, Moment(context.now(), timezone, now))
    await context.database.write(seeds.plant, seed, planting)


def given_hash(user: Mapping[str, Any], shortest: int) -> tuple[str | None, str | None]:
    """(hash, password that is to be hashed) of a user who is stored, as far as they are given. Raises InvalidError."""
    hashed, plain = user.get("passwordHash"), user.get("password")
    if hashed is not None and plain is not None:
        raise InvalidError.field("passwordHash", "Only one of password and passwordHash can be given.")
    if hashed is not None:
        return check_given_hash(hashed, "passwordHash"), None
    return None, None if plain is None else check_new_password(plain, shortest, "password")


async def _hash_of(context: Context, user: Mapping[str, Any], fallback: str) -> str | None:
    hashed, plain = given_hash(user, context.config.password_min_length)
    if hashed is not None:
        return hashed
    if plain is None and (user.get("ldapID") is not None or user.get("status") in (STATUS_SHARED, STATUS_CONTACT)):
        return None
    return await context.passwords.hash(plain or fallback)


async def dump(context: Context, *, secrets: bool) -> dict[str, Any]:
    """Everything stored, as a seed; `secrets`: with hashes of passwords, fetchmail entries, and tokens."""
    extent = Extent(context.clock.local(context.config.timezone), secrets)
    return await context.database.read(read_seed, extent)
