"""The directory settings of a validated `ldapConfig` document, with the defaults filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from postroom.app.directory.templates import OTHER_NAME, TEMPLATES
from postroom.app.errors import InvalidError
from postroom.schemas.ldap_text import ServerAddress, server_addresses
from postroom.schemas.values import proptags
from postroom.schemas.values.proptags import DISPLAY_NAME


@dataclass(frozen=True, slots=True)
class DirectoryConfig:
    """How to ask one directory and how to read its entries.

    `filter` and `contact_filter` are complete LDAP filters in parentheses that exclude groups. `properties` is
    property tag -> ranks of attributes. The first rank with a value in an entry supplies the property, from all
    attributes of that rank together. `default_quota` is in KiB. Times are converted to `timezone`. Without `contacts`
    no contact is created or updated.
    """

    servers: tuple[ServerAddress, ...]
    base_dn: str
    object_id: str
    username: str
    bind_user: str | None = None
    bind_password: str | None = field(default=None, repr=False)
    starttls: bool = False
    filter: str = "(objectClass=*)"
    contact_filter: str | None = None
    aliases: str | None = None
    altname: str | None = None
    search_attributes: tuple[str, ...] = ()
    properties: Mapping[int, Sequence[Sequence[str]]] = field(default_factory=dict)
    default_quota: int | None = None
    disabled: bool = False
    contacts: bool = True
    timezone: tzinfo = UTC

    def attributes(self) -> list[str]:
        """All attributes that mapping needs, without duplicates; those with two names are listed under both."""
        names = [self.object_id, self.username, self.aliases, self.altname]
        names += [name for ranks in self.properties.values() for rank in ranks for name in rank]
        names += [OTHER_NAME.get((name or "").lower()) for name in names]
        return list({name.lower(): name for name in names if name}.values())


def from_document(document: Mapping[str, Any], timezone: tzinfo = UTC) -> DirectoryConfig:
    """The settings of a document that LdapConfigSchema accepted. InvalidError when a part is missing."""
    try:
        connection, users = document["connection"], document["users"]
        servers = server_addresses(connection["server"])
        base_dn, object_id, username = document["baseDn"], document["objectID"], users["username"]
    except KeyError as exc:
        raise InvalidError(f"The LDAP configuration lacks {exc.args[0]}") from None
    except ValueError as exc:
        raise InvalidError.field("connection.server", str(exc)) from None
    # A later template takes precedence over earlier ones.
    templates = [TEMPLATES[name] for name in reversed(users.get("templates") or ())]
    altname = users.get("altname") or next((one.altname for one in templates if one.altname), None)
    contacts = document.get("enableContacts", True)
    contact_filter = users.get("contactFilter") if contacts else None
    group_filter = (document.get("groups") or {}).get("groupfilter")
    properties = _properties(users)
    named = [username, altname, *(name for rank in properties[DISPLAY_NAME] for name in rank)]
    return DirectoryConfig(
        servers=servers,
        base_dn=base_dn,
        object_id=object_id,
        username=username,
        bind_user=connection.get("bindUser"),
        bind_password=connection.get("bindPass"),
        starttls=connection.get("starttls", False),
        filter=_but_not(_all_of([*(users.get("filters") or ()), users.get("filter")]), group_filter),
        contact_filter=_but_not(_all_of([contact_filter]), group_filter) if contact_filter else None,
        aliases=users.get("aliases") or next((one.aliases for one in templates if one.aliases), None),
        altname=altname,
        search_attributes=tuple(users.get("searchAttributes") or [name for name in named if name]),
        properties=properties,
        default_quota=users.get("defaultQuota"),
        disabled=document.get("disabled", False),
        contacts=contacts,
        timezone=timezone,
    )


def _all_of(filters: Sequence[str | None]) -> str:
    parts = [text.strip() for text in filters if text]
    parts = [text if text.startswith("(") else f"({text})" for text in parts]
    if not parts:
        return "(objectClass=*)"
    return parts[0] if len(parts) == 1 else f"(&{''.join(parts)})"


def _but_not(wanted: str, unwanted: str | None) -> str:
    return f"(&{wanted}(!{_all_of([unwanted])}))" if unwanted else wanted


def _properties(users: Mapping[str, Any]) -> dict[int, list[list[str]]]:
    """Property tag -> ranks of attributes. An explicit mapping overrides the templates."""
    explicit: Mapping[str, str] = users.get("attributes") or {}
    own: dict[int, list[list[str]]] = {}
    for attribute, name in explicit.items():
        own.setdefault(_tag(name), [[]])[0].append(attribute)
    if users.get("displayName"):
        own.setdefault(DISPLAY_NAME, [[users["displayName"]]])
    taken = {attribute.lower() for attribute in explicit}
    usual: dict[int, list[list[str]]] = {}
    for template in reversed(users.get("templates") or ()):
        for attribute, name in TEMPLATES[template].attributes.items():
            if attribute.lower() not in taken:
                usual.setdefault(_tag(name), []).append([attribute])
    return {DISPLAY_NAME: [["displayName"]]} | usual | own


def _tag(name: str) -> int:
    found = proptags.find(name)
    if found is None:
        raise InvalidError.field("users.attributes", "unknown property")
    return found.tag
