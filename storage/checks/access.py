"""Checks of what decides who may do what: roles, logins, links to directories, tokens."""

from collections.abc import Iterator
from typing import Final

from postroom.schemas.values.roles import PERMISSIONS
from postroom.storage.auth import find_sealed_token_key
from postroom.storage.checks.findings import Check, State, rows
from postroom.storage.checks.repairs import in_one
from postroom.storage.engine import Connection

_GROUP: Final = "Access"
_DOMAIN_EPOCH: Final = "coalesce((SELECT d.token_epoch FROM domains d WHERE d.id = {user}.domain_id), 0)"
_USER: Final = "'user ' || u.id || ' (' || u.username || ')'"


def _find_wrong_permissions(connection: Connection) -> Iterator[str]:
    sql = """
        SELECT 'role ' || r.name, p.permission, p.domain_id, p.org_id, p.everything
          FROM role_permissions p JOIN roles r ON r.id = p.role_id
        UNION ALL
        SELECT 'token ' || t.name, p.permission, p.domain_id, p.org_id, p.everything
          FROM api_token_permissions p JOIN api_tokens t ON t.id = p.token_id
    """
    for holder, permission, domain_id, org_id, everything in connection.execute(sql):
        about = PERMISSIONS.get(permission)
        given = {"domain": domain_id is not None, "org": org_id is not None}
        targets = [kind for kind, is_given in given.items() if is_given]
        right = targets == ([] if about is None or everything else [about]) and (about is not None or not everything)
        if permission not in PERMISSIONS or not right:
            yield f"{permission} of the {holder}"


def _find_missing_token_key(connection: Connection) -> Iterator[str]:
    if find_sealed_token_key(connection) is None:
        yield "the key that signs tokens"


def _find_wrong_generations(connection: Connection) -> Iterator[str]:
    found = connection.execute("SELECT id, value FROM auth_generation").fetchall()
    if [row_id for row_id, _ in found] != [1] or found[0][1] < 1:
        yield f"{len(found)} rows in auth_generation"


def _end_early_logins(connection: Connection) -> None:
    connection.execute(
        f"""
        UPDATE users SET kept_epoch = NULL, kept_session = NULL
         WHERE kept_epoch > token_epoch + {_DOMAIN_EPOCH.format(user="users")}
        """
    )
    connection.execute(
        f"""
        DELETE FROM sessions
         WHERE epoch > (SELECT u.token_epoch + {_DOMAIN_EPOCH.format(user="u")}
                          FROM users u WHERE u.id = sessions.user_id)
        """
    )


CHECKS: Final = (
    Check(
        _GROUP,
        "administrator",
        promise="There is a system administrator, without a domain and not suspended",
        fault="reasons why the system administrator cannot log in",
        find=rows(
            """
            SELECT 'user 0 is missing, suspended, or in a domain' FROM auth_generation
             WHERE NOT EXISTS (SELECT 1 FROM users WHERE id = 0 AND domain_id IS NULL AND status = 0)
            """
        ),
        advice="A missing one is made when the service starts; POSTROOM_ADMIN_PASSWORD sets the password. If user 0 is "
        "suspended or in a domain, restore a backup",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "permissions",
        promise="Every permission of a role or a token is one, for what it can be given for",
        fault="permissions of roles and tokens that are none",
        find=_find_wrong_permissions,
        advice="Store the permissions of these roles again and replace these tokens; what is no permission allows "
        "nothing",
    ),
    Check(
        _GROUP,
        "passwords of linked users",
        promise="No user of a directory has a password here",
        fault="users of a directory who have a password here as well",
        find=rows(f"SELECT {_USER} FROM users u WHERE u.ldap_id IS NOT NULL AND u.password IS NOT NULL AND u.id <> 0"),
        advice="Unlink these users (ldapID null), which removes the password, and update the domain from the directory",
    ),
    Check(
        _GROUP,
        "linked users",
        promise="Every user of a directory belongs to one that is configured",
        fault="users of a directory that is not configured",
        find=rows(
            f"""
            SELECT {_USER} FROM users u JOIN domains d ON d.id = u.domain_id
             WHERE u.ldap_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM ldap_configs c WHERE c.org_id IS NULL OR c.org_id = d.org_id)
            """
        ),
        advice="They cannot log in: configure the directory, or unlink them and give them passwords",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "logins",
        promise="No login outlives a revocation",
        fault="users with a login that may outlive a revocation",
        find=rows(
            f"""
            SELECT {_USER} FROM users u
             WHERE u.kept_epoch > u.token_epoch + {_DOMAIN_EPOCH.format(user="u")}
                OR EXISTS (SELECT 1 FROM sessions s
                            WHERE s.user_id = u.id AND s.epoch > u.token_epoch + {_DOMAIN_EPOCH.format(user="u")})
            """
        ),
        advice="--repair ends these logins for good",
        repair=in_one(_end_early_logins),
    ),
    Check(
        _GROUP,
        "token key",
        promise="There is a key that signs tokens",
        fault="keys that are missing",
        find=_find_missing_token_key,
        advice="The service makes one when it starts; everybody has to log in again",
        state=State.WARNING,
    ),
    Check(
        _GROUP,
        "generation",
        promise="Revoked permissions are noticed",
        fault="reasons why revoked permissions are not noticed",
        find=_find_wrong_generations,
        advice="Restore a backup",
    ),
)
