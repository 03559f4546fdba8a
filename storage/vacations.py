"""What an out-of-office reply depends on, in one row."""

import json
from typing import Final, NamedTuple

from postroom.storage.database import Database
from postroom.storage.mail import DELIVERED

#: Most domains of one organisation that count as internal, the user's own first: more make the script too long.
MOST_DOMAINS: Final = 1000

_SELECT = f"""
    SELECT u.username, o.state, o.external_audience, o.start_time, o.end_time,
           o.internal_subject, o.internal_reply, o.external_subject, o.external_reply,
           (SELECT json_group_array(address)
              FROM (SELECT x.address
                      FROM addresses x
                     WHERE x.user_id = u.id AND x.kind <> 'altname'
                     ORDER BY x.key) own),
           (SELECT json_group_array(domainname)
              FROM (SELECT x.domainname
                      FROM domains x
                     WHERE x.id = d.id OR (x.org_id = d.org_id AND x.domain_status = 0)
                     ORDER BY x.id <> d.id, x.domainname
                     LIMIT {MOST_DOMAINS}) internal)
      FROM addresses a
      JOIN users u ON u.id = a.user_id AND u.status IN ({", ".join(map(str, DELIVERED))})
      JOIN domains d ON d.id = u.domain_id AND d.domain_status = 0
      JOIN oof o ON o.user_id = u.id AND o.state <> 0
     WHERE a.key = ? AND a.kind <> 'altname'
"""


class Vacation(NamedTuple):
    """An out of office that is on, and to whom it applies."""

    username: str
    state: int
    external_audience: int
    start_time: str | None
    end_time: str | None
    internal_subject: str | None
    internal_reply: str | None
    external_subject: str | None
    external_reply: str | None
    #: The username and the aliases.
    addresses: list[str]
    #: The domains whose people count as internal (A-labels).
    domains: list[str]


async def select_vacation(database: Database, key: str) -> Vacation | None:
    """The out of office of whoever has this address (folded), unless it is off."""
    row = await database.fetch_row_by_key(_SELECT, (key,))
    if row is None:
        return None
    return Vacation(*row[:-2], *map(json.loads, row[-2:]))
