"""SQL for the JSON document of a user. SQLite builds it, so reading a user takes one statement and no work in Python.

Every fragment expects the alias `u` for the table users.
"""

from functools import lru_cache

from postroom.storage.spelling import pair

#: Privileges and other yes-or-no fields of a user: name in the API -> column.
FLAG_COLUMNS = {
    "pop3_imap": "pop3_imap",
    "smtp": "smtp",
    "changePassword": "change_password",
    "publicAddress": "public_address",
    "privChat": "priv_chat",
    "privVideo": "priv_video",
    "privFiles": "priv_files",
    "privArchive": "priv_archive",
    "privWeb": "priv_web",
    "privEas": "priv_eas",
    "privDav": "priv_dav",
    "chat": "chat",
    "chatAdmin": "chat_admin",
}


def boolean(column: str) -> str:
    """JSON true or false; json_object() alone would show 1 or 0."""
    return truth(f"{column} <> 0")


def truth(condition: str) -> str:
    """The same for a condition."""
    return f"json(iif({condition}, 'true', 'false'))"


_LEVEL_0 = ["'ID', u.id", "'username', u.username"]
# The administrator, whom only the profile shows, has no domain; the API shows 0 then.
_LEVEL_1 = ["'domainID', coalesce(u.domain_id, 0)", "'ldapID', u.ldap_id", "'status', u.status"]

#: A property's value in the format of the API.
PROPERTY_VALUE = pair(
    """CASE WHEN p.multi THEN json(p.value)
            WHEN p.kind = 'boolean' THEN json(iif(p.value, 'true', 'false'))
            ELSE p.value END""",
    # PostgreSQL's column holds text.
    """CASE WHEN p.kind = 'boolean' AND p.multi = 0 THEN to_json(p.value <> '0')
            WHEN p.kind = 'integer' OR p.multi <> 0 THEN CAST(p.value AS json)
            ELSE to_json(p.value) END""",
)

FETCHMAIL_ENTRY = f"""json_object(
    'ID', f.id, 'mailbox', f.mailbox, 'active', {boolean("f.active")}, 'srcServer', f.src_server,
    'srcAuth', f.src_auth, 'srcUser', f.src_user, 'srcFolder', f.src_folder, 'fetchall', {boolean("f.fetchall")},
    'keep', {boolean("f.keep")}, 'protocol', f.protocol, 'useSSL', {boolean("f.use_ssl")},
    'sslCertCheck', {boolean("f.ssl_cert_check")}, 'sslCertPath', f.ssl_cert_path,
    'sslFingerprint', f.ssl_fingerprint, 'extraOptions', f.extra_options, 'date', f.date)"""


def _list(document: str, source: str) -> str:
    return f"json((SELECT json_group_array({document}) FROM {source}))"


_FETCHMAIL = "'fetchmail', " + _list(
    f"json({FETCHMAIL_ENTRY})", "(SELECT * FROM fetchmail WHERE user_id = u.id ORDER BY id) f"
)
#: The member `forward`.
FORWARD = """'forward', (SELECT json_object('forwardType', forward_type, 'destination', destination)
                           FROM forwards WHERE user_id = u.id)"""
_LEVEL_2 = [
    "'lang', u.lang",
    *(f"'{name}', {boolean('u.' + column)}" for name, column in FLAG_COLUMNS.items()),
    "'aliases', "
    + _list("address", "(SELECT address FROM addresses WHERE user_id = u.id AND kind = 'alias' ORDER BY id)"),
    "'altnames', "
    + _list(
        "json_object('altname', address, 'magic', magic)",
        "(SELECT address, magic FROM addresses WHERE user_id = u.id AND kind = 'altname' ORDER BY id)",
    ),
    "'roles', "
    + _list(
        "json_object('ID', id, 'name', name)",
        "(SELECT r.id, r.name FROM user_roles x JOIN roles r ON r.id = x.role_id WHERE x.user_id = u.id ORDER BY r.id)",
    ),
    FORWARD,
    "'mlist', NULL",  # there are no mailing lists
    "'syncPolicy', json(u.sync_policy)",
    "'orgID', coalesce((SELECT org_id FROM domains WHERE id = u.domain_id), 0)",
    "'homeserver', NULL",  # there is only one server
]


#: The ETag of a user must not change with the plan of a statement. SQLite is told to take the index, which costs
#: nothing, while ordering takes 3 µs.
_BY_TAG = pair("/* by tag */", " ORDER BY p.tag")


def properties(tags: int | None = None) -> str:
    """The member `properties`: all properties, or only `tags` of them, whose numbers have to be bound at this place."""
    narrowed = "" if tags is None else f"AND p.tag IN ({', '.join('?' * tags)})"
    return f"""'properties', json((SELECT json_group_object(p.name, {PROPERTY_VALUE}{_BY_TAG})
                                     FROM properties p INDEXED BY sqlite_autoindex_properties_1
                                    WHERE p.user_id = u.id {narrowed}))"""


@lru_cache(maxsize=64)
def document(level: int, tags: int | None = None, *, fetchmail: bool = True) -> str:
    """SQL for a user's JSON text at a level (0, 1, 2). `tags`: how many properties to select; None: by the level."""
    members = list(_LEVEL_0)
    if level >= 1:
        members += _LEVEL_1
    if level >= 2:
        members += _LEVEL_2
        if fetchmail:
            members.append(_FETCHMAIL)
    if level >= 2 or tags is not None:
        members.append(properties(tags))
    return f"json_object({', '.join(members)})"
