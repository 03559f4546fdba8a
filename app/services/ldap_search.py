"""Searches the directory for people and shows single entries."""

import base64

from postroom.app.directory.mapping import Entry, map_entry
from postroom.app.directory.object_id import escape_object_id, parse_object_id
from postroom.app.directory.values import SMTP_ADDRESS
from postroom.app.errors import InvalidError, NotFoundError
from postroom.app.services.context import Context
from postroom.app.services.ldap_import import why_not
from postroom.app.services.ldap_targets import SyncTarget, Target, is_shown, targets
from postroom.schemas.values.proptags import DISPLAY_NAME

#: Most entries that a search takes from a directory, including those that cannot be imported.
_MOST = 500


async def search(
    context: Context, sync_target: SyncTarget, term: str, limit: int, *, show_all: bool
) -> list[dict[str, object]]:
    """People who can be imported and have the term in one of the configured attributes, at most `limit` of them.

    With `show_all` also those who cannot be imported, with the reason, as far as the caller may see them. Raises
    NotFoundError (domain, organisation), UnavailableError.
    """
    people: list[dict[str, object]] = []
    # Most of the matches may be people whom the caller may not see.
    most = _MOST if not sync_target.reach.everything else min(limit if show_all else 4 * limit, _MOST)
    for target in await targets(context, sync_target):
        for entry in await target.directory.search(term, most):
            if not is_shown(entry, target):
                continue
            person = _person(entry, target)
            if show_all or person["error"] is None:
                people.append(person)
    return people[:limit]


async def dump(context: Context, sync_target: SyncTarget, object_id: str) -> str:
    """An entry as LDIF (RFC 2849), without passwords. Raises UnavailableError, and NotFoundError also for an object
    that the caller may not see.
    """
    raw = parse_object_id(object_id)
    for target in await targets(context, sync_target):
        entry = await target.directory.dump(raw)
        if entry is not None and (is_shown(entry, target) or await _is_shown_contact(raw, target)):
            return _ldif(entry)
    raise NotFoundError(f"There is no object {escape_object_id(raw)} in the directory")


async def _is_shown_contact(raw: bytes, target: Target) -> bool:
    # Only the filters tell a contact from a user, and the dumped entry was found without them.
    entry = await target.directory.fetch(raw)
    return entry is not None and is_shown(entry, target)


def _person(entry: Entry, target: Target) -> dict[str, object]:
    person: dict[str, object] = {
        "ID": escape_object_id(entry.object_id),
        "name": entry.dn,
        "email": None,
        "type": "contact" if entry.is_contact else "user",
        "error": None,
    }
    if not entry.object_id:
        return {**person, "error": f"It has no {target.directory.config.object_id}, which holds the object ID"}
    try:
        mapped = map_entry(entry, target.directory.config, target.scope.accepts)
    except InvalidError as error:
        return {**person, "error": error.message}
    return {
        **person,
        "name": mapped.properties.get(DISPLAY_NAME, mapped.username),
        "email": mapped.properties.get(SMTP_ADDRESS, mapped.username) if mapped.is_contact else mapped.username,
        "type": "contact" if mapped.is_contact else "user",
        "error": why_not(mapped, target),
    }


def _ldif(entry: Entry) -> str:
    lines = [_line("dn", entry.dn)]
    for name in sorted(entry.attributes, key=str.lower):
        lines += [_line(name, value) for value in entry.attributes[name]]
    return "\n".join(lines) + "\n"


def _line(name: str, value: str | bytes) -> str:
    # For people to read: text of any script stays as it is. Base64 is for binary values and text that would get lost.
    if isinstance(value, str) and value.isprintable() and not value.startswith((" ", ":", "<")) and value[-1:] != " ":
        return f"{name}: {value}"
    raw = value if isinstance(value, bytes) else value.encode()
    return f"{name}:: {base64.b64encode(raw).decode()}"
