"""Stores to begin with: made once for each content, then copied."""

from typing import Final

from postroom.app.config import Config
from postroom.app.limits.memory import remember
from postroom.storage import auth
from postroom.storage.ephemeral import Image, empty_image, image_of
from postroom.testing.passwords import cheap_hash

#: Most images that are kept for further servers.
_MOST: Final = 8

#: What decides over the content of an image.
_Key = tuple[str, ...]
_made: dict[_Key, Image] = {}


async def beginning(config: Config) -> Image:
    """The store of a new server with these settings. It has no key that signs tokens: each server makes its own."""
    password = config.admin_password or ""
    key = (password, str(config.timezone), str(config.password_min_length))
    image = _made.get(key)
    if image is None:
        database = empty_image().opened(config.search_timeout)
        try:
            await database.write(auth.ensure_administrator, cheap_hash(password))
            image = await database.read(image_of)
        finally:
            await database.close()
        remember(_made, key, image, _MOST)
    return image
