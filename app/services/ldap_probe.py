"""Tests a directory: whether the configuration works, and what its entries look like as users."""

from contextlib import aclosing
from dataclasses import dataclass

from postroom.app.directory.client import Directory
from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.mapping import Entry, MappedUser, map_entry
from postroom.app.directory.object_id import escape_object_id
from postroom.app.directory.questions import is_secret
from postroom.app.directory.scope import Scope
from postroom.app.errors import InvalidError
from postroom.app.services.context import Context
from postroom.schemas.values import proptags
from postroom.storage import domains

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Probe:
    """The first page of entries. `sample` is name -> value of one user as it would be stored.

    `unusable` says why no entry of the page can become a user; "" if one can.
    """

    entries: int
    page: int
    object_id: str
    sample: dict[str, object]
    unusable: str


async def probe(context: Context, directory: Directory) -> Probe:
    """Connects, binds, tries base DN and filters, and reads the first page.

    Raises InvalidError (the configuration is at fault), UnavailableError.
    """
    await directory.check()
    async with aclosing(directory.pages(_PAGE)) as pages:
        page: list[Entry] = await anext(pages, [])
    rows = await context.database.read(domains.list_domains)
    scope = Scope({}, {row.domainname: row for row in rows})
    unusable = ""
    for entry in page:
        if not entry.object_id:
            unusable = unusable or f"{entry.dn} has no {directory.config.object_id}, which holds the object ID"
            continue
        try:
            mapped = map_entry(entry, directory.config, scope.accepts)
        except InvalidError as error:
            unusable = unusable or f"{entry.dn}: {error.message}"
            continue
        return Probe(len(page), _PAGE, escape_object_id(entry.object_id), _sample(entry, mapped, directory.config), "")
    return Probe(len(page), _PAGE, "", {}, unusable)


def _sample(entry: Entry, mapped: MappedUser, config: DirectoryConfig) -> dict[str, object]:
    sample: dict[str, object] = {
        "entry": entry.dn,
        "username": mapped.username,
        "aliases": list(mapped.aliases),
        "altname": mapped.altname,
    }
    for tag, value in mapped.properties.items():
        # An administrator may have mapped an attribute that holds a password.
        if not any(is_secret(name) for rank in config.properties[tag] for name in rank):
            sample[proptags.by_tag(tag).name] = value
    if mapped.warnings:
        sample["left out"] = list(mapped.warnings)
    return {name: value for name, value in sample.items() if value not in (None, [])}
