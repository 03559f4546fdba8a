"""Checks of what is stored twice, so that it need not be computed: counters and copies."""

from typing import Final

from postroom.storage.checks.findings import Check, rows
from postroom.storage.checks.repairs import in_one
from postroom.storage.engine import Connection

_GROUP: Final = "Counters"

_ACTIVE: Final = "(SELECT count(*) FROM users u WHERE u.domain_id = domains.id AND u.status = 0)"
_INACTIVE: Final = "(SELECT count(*) FROM users u WHERE u.domain_id = domains.id AND u.status IN (1, 2, 3))"
_VIRTUAL: Final = "(SELECT count(*) FROM users u WHERE u.domain_id = domains.id AND u.status IN (4, 5))"

_DISPLAY_TYPES: Final = """
    SELECT u.domain_id, u.status, p.number AS display_type, count(*) AS users
      FROM properties p
      JOIN users u ON u.id = p.user_id
     WHERE p.tag = 0x39050003 AND u.domain_id IS NOT NULL
     GROUP BY u.domain_id, u.status, p.number
"""
_KEPT: Final = "SELECT domain_id, status, display_type, users FROM display_type_counts"
_OF_USER: Final = "(SELECT domain_id FROM users WHERE id = properties.user_id)"


def _recount_users(connection: Connection) -> None:
    connection.execute(
        f"UPDATE domains SET active_users = {_ACTIVE}, inactive_users = {_INACTIVE}, virtual_users = {_VIRTUAL}"
    )


def _recount_display_types(connection: Connection) -> None:
    connection.execute("DELETE FROM display_type_counts")
    connection.execute(f"INSERT INTO display_type_counts (domain_id, status, display_type, users) {_DISPLAY_TYPES}")


def _copy_domains(connection: Connection) -> None:
    connection.execute(
        f"""
        UPDATE properties SET domain_id = {_OF_USER}
         WHERE id IN (SELECT p.id FROM properties p JOIN users u ON u.id = p.user_id
                       WHERE p.domain_id IS DISTINCT FROM u.domain_id)
        """
    )


CHECKS: Final = (
    Check(
        _GROUP,
        "user counts",
        promise="The numbers of users in the domains are right",
        fault="domains whose numbers of users are wrong",
        find=rows(
            f"""
            SELECT domainname FROM domains
             WHERE active_users <> {_ACTIVE} OR inactive_users <> {_INACTIVE} OR virtual_users <> {_VIRTUAL}
            """
        ),
        advice="--repair counts them again",
        repair=in_one(_recount_users),
    ),
    Check(
        _GROUP,
        "display type counts",
        promise="The numbers of users by display type are right",
        fault="numbers of users by display type that are wrong",
        find=rows(
            f"""
            SELECT DISTINCT 'domain ' || domain_id || ', status ' || status || ', display type ' || display_type
              FROM (SELECT * FROM ({_KEPT} EXCEPT {_DISPLAY_TYPES}) UNION ALL
                    SELECT * FROM ({_DISPLAY_TYPES} EXCEPT {_KEPT}))
            """
        ),
        advice="--repair counts them again",
        repair=in_one(_recount_display_types),
    ),
    Check(
        _GROUP,
        "domains of properties",
        promise="Each property is in the domain of its user",
        fault="properties in another domain",
        find=rows(
            """
            SELECT p.name || ' of user ' || p.user_id
              FROM properties p JOIN users u ON u.id = p.user_id
             WHERE p.domain_id IS DISTINCT FROM u.domain_id
            """
        ),
        advice="--repair sets the domain of the user",
        repair=in_one(_copy_domains),
    ),
)
