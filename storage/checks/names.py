"""Checks of names: usernames, aliases, altnames, and references to them."""

from typing import Final

from postroom.storage.checks.findings import Check, State, rows
from postroom.storage.checks.repairs import in_one
from postroom.storage.engine import Connection

_GROUP: Final = "Names"
_USER: Final = "'user ' || u.id || ' (' || u.username || ')'"
_DOMAIN_OF: Final = "substr(a.address, instr(a.address, '@') + 1)"

#: Table, the text, and where it stands folded.
_FOLDED: Final = (
    ("addresses", "address", "key"),
    ("grants", "address", "key"),
    ("orgs", "name", "key"),
    ("roles", "name", "key"),
)


def _insert_usernames(connection: Connection) -> None:
    connection.execute(
        """
        INSERT INTO addresses (user_id, kind, address, key)
        SELECT id, 'username', username, fold(username) FROM users
         WHERE NOT EXISTS (SELECT 1 FROM addresses WHERE user_id = users.id AND kind = 'username')
        """
    )


def _fold_again(connection: Connection) -> None:
    """Sets the right key, except where somebody else has it."""
    taken = {
        "addresses": "o.key = fold(addresses.address) AND (o.kind = 'altname') = (addresses.kind = 'altname')",
        "grants": "o.key = fold(grants.address) AND o.user_id = grants.user_id AND o.kind = grants.kind",
        "orgs": "o.key = fold(orgs.name)",
        "roles": "o.key = fold(roles.name)",
    }
    for table, text, key in _FOLDED:
        connection.execute(
            f"UPDATE {table} SET {key} = fold({text}) WHERE {key} <> fold({text})"
            f" AND NOT EXISTS (SELECT 1 FROM {table} o WHERE {taken[table]})"
        )


CHECKS: Final = (
    Check(
        _GROUP,
        "usernames",
        promise="Each user has one username, which leads to them",
        fault="users whose username leads nowhere",
        find=rows(
            f"""
            SELECT {_USER} FROM users u
             WHERE 1 <> (SELECT count(*) FROM addresses WHERE user_id = u.id AND kind = 'username')
                OR NOT EXISTS (SELECT 1 FROM addresses
                                WHERE user_id = u.id AND kind = 'username' AND address = u.username)
            """
        ),
        advice="--repair adds a missing one. For the others, rename the user to another name and back",
        repair=in_one(_insert_usernames),
    ),
    Check(
        _GROUP,
        "names in domains",
        promise="Each username is in the domain of its user",
        fault="usernames outside of their domain",
        find=rows(
            f"""
            SELECT {_USER} FROM users u LEFT JOIN domains d ON d.id = u.domain_id
             WHERE CASE WHEN u.domain_id IS NULL THEN u.username <> 'admin'
                        WHEN u.status = 5 THEN u.username <> 'contact-' || u.id
                        ELSE substr(u.username, instr(u.username, '@') + 1) <> d.domainname END
            """
        ),
        advice="Rename these users",
    ),
    Check(
        _GROUP,
        "folded names",
        promise="Names are compared in the form of this version",
        fault="names that are compared in an old form",
        find=rows(
            " UNION ALL ".join(
                f"SELECT {text} FROM {table} WHERE {key} <> fold({text})" for table, text, key in _FOLDED
            )
        ),
        advice="--repair brings these up to date. What is left looks like a name that somebody else has: rename one of "
        "the two",
        state=State.WARNING,
        repair=in_one(_fold_again),
    ),
    Check(
        _GROUP,
        "altnames",
        promise="No altname is somebody else's username",
        fault="altnames that are somebody else's username",
        find=rows(
            """
            SELECT a.address || ' of user ' || a.user_id
              FROM addresses a
              JOIN addresses o ON o.key = a.key AND o.kind = 'username' AND o.user_id <> a.user_id
              JOIN users u ON u.id = o.user_id AND u.status <> 5
             WHERE a.kind = 'altname'
            """
        ),
        advice="Remove these altnames: it is not certain who logs in with them",
    ),
    Check(
        _GROUP,
        "aliases",
        promise="Each alias is in a domain of its user's organisation",
        fault="aliases in domains of others",
        find=rows(
            f"""
            SELECT a.address || ' of user ' || a.user_id
              FROM addresses a
              JOIN users u ON u.id = a.user_id
              JOIN domains d ON d.id = u.domain_id
             WHERE a.kind = 'alias' AND {_DOMAIN_OF} <> d.domainname
               AND NOT EXISTS (SELECT 1 FROM domains o WHERE o.org_id = d.org_id AND o.domainname = {_DOMAIN_OF})
            """
        ),
        advice="Remove these aliases, or move the domains into one organisation",
    ),
    Check(
        _GROUP,
        "fetchmail mailboxes",
        promise="Fetched mail goes to addresses of the entry's user",
        fault="fetchmail entries that deliver to somebody else",
        find=rows(
            """
            SELECT f.mailbox || ' of user ' || f.user_id FROM fetchmail f
             WHERE fold(f.mailbox) NOT IN (SELECT key FROM addresses WHERE user_id = f.user_id AND kind <> 'altname')
            """
        ),
        advice="Set the mailbox of these entries to an address of their user",
    ),
    Check(
        _GROUP,
        "grants",
        promise="Each grant is bound to the user whose address it names",
        fault="grants bound to somebody else",
        find=rows(
            """
            SELECT g.kind || ' ' || g.address || ' of user ' || g.user_id FROM grants g
             WHERE g.member_id IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM addresses
                                WHERE user_id = g.member_id AND key = g.key AND kind <> 'altname')
            """
        ),
        advice="Store the lists of delegates and of send-as of these users again, without these addresses",
    ),
    Check(
        _GROUP,
        "store access",
        promise="Stores are open to users of their organisation only",
        fault="accesses to stores of strangers",
        find=rows(
            """
            SELECT 'user ' || s.member_id || ' to the store of user ' || s.user_id
              FROM store_access s
              JOIN users u ON u.id = s.user_id
              JOIN users m ON m.id = s.member_id AND m.domain_id <> u.domain_id
              JOIN domains d ON d.id = u.domain_id
              JOIN domains e ON e.id = m.domain_id
             WHERE d.org_id IS NULL OR e.org_id IS NULL OR d.org_id <> e.org_id
            """
        ),
        advice="Remove these accesses",
    ),
)
