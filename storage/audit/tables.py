"""What is recorded of each table, and which tables are not recorded. The only place that says so for SQLite.

A new table or column belongs here, in one list or the other: a test compares both with the schema. On PostgreSQL it
needs a trigger as well (migrations/postgresql/0003_audit.sql).
"""

from collections.abc import Mapping
from typing import Final

from postroom.storage.audit.recorded import Recorded
from postroom.storage.user_documents import FLAG_COLUMNS

_FLAGS: Final = {column: name for name, column in FLAG_COLUMNS.items()}
_PERMISSION: Final = {"permission": "permission", "domain_id": "domainID", "org_id": "orgID", "everything": "all"}

RECORDED: Final[Mapping[str, Recorded]] = {
    "orgs": Recorded("org", "id", {"name": "name", "description": "description"}),
    "domains": Recorded(
        "domain",
        "id",
        {
            "domainname": "domainname",
            "displayname": "displayname",
            "org_id": "orgID",
            "max_user": "maxUser",
            "title": "title",
            "address": "address",
            "admin_name": "adminName",
            "tel": "tel",
            "end_day": "endDay",
            "domain_status": "domainStatus",
            "chat": "chat",
            "sync_policy": "syncPolicy",
            "disabled_plugins": "disabledPlugins",
            "self_service": "selfService",
        },
        documents=frozenset({"sync_policy", "disabled_plugins", "self_service"}),
        flags=frozenset({"chat"}),
        at_ends={
            "active_users": "activeUsers",
            "inactive_users": "inactiveUsers",
            "virtual_users": "virtualUsers",
        },
    ),
    "users": Recorded(
        "user",
        "id",
        {
            "domain_id": "domainID",
            "username": "username",
            "status": "status",
            "lang": "lang",
            "ldap_id": "ldapID",
            "sync_policy": "syncPolicy",
            **_FLAGS,
        },
        parent="domains",
        secrets={"password": "password"},  # nosec B105 - the name of a field
        documents=frozenset({"sync_policy"}),
        flags=frozenset(_FLAGS),
    ),
    # The username is in `users` as well.
    "addresses": Recorded(
        "user",
        "user_id",
        {"address": "address"},
        parent="users",
        entry="kind",
        lists={"alias": "aliases", "altname": "altnames"},
        ignored=frozenset({"username"}),
    ),
    "properties": Recorded("user", "user_id", {"value": ""}, parent="users", prefix="properties", entry="name"),
    "forwards": Recorded(
        "user",
        "user_id",
        {"forward_type": "forwardType", "destination": "destination"},
        parent="users",
        prefix="forward",
    ),
    "fetchmail": Recorded(
        "user",
        "user_id",
        {
            "mailbox": "mailbox",
            "active": "active",
            "src_server": "srcServer",
            "src_auth": "srcAuth",
            "src_user": "srcUser",
            "src_folder": "srcFolder",
            "fetchall": "fetchall",
            "keep": "keep",
            "protocol": "protocol",
            "use_ssl": "useSSL",
            "ssl_cert_check": "sslCertCheck",
            "ssl_cert_path": "sslCertPath",
            "ssl_fingerprint": "sslFingerprint",
            "extra_options": "extraOptions",
        },
        parent="users",
        secrets={"src_password": "srcPassword"},  # nosec B105 - the name of a field
        flags=frozenset({"active", "fetchall", "keep", "use_ssl", "ssl_cert_check"}),
        prefix="fetchmail",
        entry="id",
    ),
    "user_roles": Recorded("user", "user_id", {"role_id": "role"}, parent="users", lists="roles"),
    "grants": Recorded(
        "user",
        "user_id",
        {"address": "address"},
        parent="users",
        entry="kind",
        lists={"delegate": "delegates", "sendas": "sendas"},
    ),
    "store_access": Recorded("user", "user_id", {"member_id": "ID"}, parent="users", lists="storeAccess"),
    "oof": Recorded(
        "user",
        "user_id",
        {
            "state": "state",
            "external_audience": "externalAudience",
            "start_time": "startTime",
            "end_time": "endTime",
            "internal_subject": "internalSubject",
            "internal_reply": "internalReply",
            "external_subject": "externalSubject",
            "external_reply": "externalReply",
        },
        parent="users",
        prefix="oof",
    ),
    "devices": Recorded(
        "user",
        "user_id",
        {"device_type": "deviceType", "wipe_status": "wipeStatus"},
        parent="users",
        prefix="devices",
        entry="device_id",
    ),
    "due_resyncs": Recorded("user", "user_id", {"device_id": "deviceID"}, parent="users", lists="resyncs"),
    "roles": Recorded("role", "id", {"name": "name", "description": "description", "made_for": "madeFor"}),
    "role_permissions": Recorded("role", "role_id", _PERMISSION, parent="roles", lists="permissions"),
    "api_tokens": Recorded(
        "token",
        "id",
        {
            "user_id": "owner",
            "name": "name",
            "scoped": "scoped",
            "read_only": "readOnly",
            "networks": "networks",
            "expires": "expires",
        },
        parent="users",
        secrets={"hash": "token"},
        documents=frozenset({"networks"}),
        flags=frozenset({"scoped", "read_only"}),
    ),
    "api_token_permissions": Recorded("token", "token_id", _PERMISSION, parent="api_tokens", lists="permissions"),
    # Logins are many; that somebody has ended one is a change.
    "sessions": Recorded(
        "user",
        "user_id",
        {"source": "source", "user_agent": "userAgent"},
        parent="users",
        lists="sessions",
        comes=False,
    ),
    "ldap_configs": Recorded(
        "ldap",
        "org_id",
        {"document": "config"},
        secrets={"bind_pass": "bindPass"},  # nosec B105 - the name of a field
        documents=frozenset({"document"}),
    ),
    "create_defaults": Recorded("defaults", "domain_id", {"document": "defaults"}, documents=frozenset({"document"})),
    "settings": Recorded(
        "settings",
        "0",
        {"value": ""},
        prefix="settings",
        entry="name",
        # How the processes take turns with tasks is nobody's decision.
        ignored=frozenset({"tasks_last_owner"}),
        secret_entries=frozenset({"token_key"}),
    ),
    "sealing": Recorded("settings", "0", {"key_id": "keyID"}, prefix="encryption"),
    "tasks": Recorded(
        "task",
        "id",
        {"command": "command", "state": "state"},
        documents=frozenset({"params"}),
        at_ends={"params": "params"},
    ),
}

#: The tables whose rows are objects.
OBJECTS: Final = frozenset(table for table, recorded in RECORDED.items() if recorded.is_object)

#: Table -> why its changes are not recorded.
NOT_RECORDED: Final[Mapping[str, str]] = {
    "audit": "the record itself",
    "task_items": "the outcome of a task; what a task changes is recorded as such",
    "wipe_history": "a history of its own; each of its steps changes the device, which is recorded",
    "auth_generation": "a counter",
    "display_type_counts": "counters",
    "search_due": "empty after each transaction",
    "user_search": "an index",
    "schema_version": "the number of the last migration",
    "compatibility": "the number of another one",
    "sqlite_sequence": "SQLite's own counters",
}
