"""Stores to begin with: made once for each content, then copied."""

from typing import Final

from postroom.app.clock import Clock
from postroom.app.config import Config
from postroom.app.limits.memory import remember
from postroom.app.wiring import assembled
from postroom.storage import auth
from postroom.storage.ephemeral import Image, empty_image, image_of
from postroom.testing.clock import MovableClock
from postroom.testing.passwords import CheapPasswords, cheap_hash
from postroom.testing.seeds import ReadSeed

#: Most images that are kept for further servers.
_MOST: Final = 8

#: What decides over the content of an image.
_Key = tuple[str, ...]
_made: dict[_Key, Image] = {}


async def beginning(config: Config, seed: ReadSeed, clock: MovableClock) -> Image:
    """The store of a new server with these settings. It has no key that signs tokens: each server makes its own.

    Raises SeedError.
    """
    password = config.admin_password or ""
    key = (seed.key, password, str(config.timezone), str(config.password_min_length), str(clock.beginning))
    image = _made.get(key)
    if image is None:
        image = await _filled(config, password, seed, clock)
        remember(_made, key, image, _MOST)
    return image


async def _filled(config: Config, password: str, seed: ReadSeed, clock: Clock) -> Image:
    database = empty_image().opened(config.search_timeout)
    async with assembled(config, database, CheapPasswords(), clock) as context:
        await database.write(auth.ensure_administrator, cheap_hash(password))
        await seed.plant(context)
        await database.write(auth.delete_setting, auth.TOKEN_KEY)
        return await database.read(image_of)
