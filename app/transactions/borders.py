"""Removes what users of two domains share when the domains no longer belong to one organisation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from postroom.app.transactions import names
from postroom.schemas.addresses import parse_domain
from postroom.schemas.values.text import fold
from postroom.storage import borders, domains, users
from postroom.storage.domains import DomainRow
from postroom.storage.engine import Connection


@contextmanager
def guarded(connection: Connection) -> Iterator[None]:
    """Wraps every change that moves or removes domains.

    Within an organisation, grants, access to stores, aliases and altnames may cross from domain to domain. When a
    domain leaves its organisation, this removes them in the same transaction.
    """
    before = [row for row in domains.list_domains(connection) if row.org_id is not None]
    yield
    now = {row.id: row.org_id for row in domains.list_domains(connection)}
    for domain in before:
        if now.get(domain.id) != domain.org_id:
            strangers = [
                other
                for other in before
                if other.org_id == domain.org_id
                and other.id != domain.id
                and (now.get(domain.id) is None or now.get(other.id) != now[domain.id])
            ]
            _cut(connection, domain, strangers)


def _cut(connection: Connection, domain: DomainRow, strangers: Sequence[DomainRow]) -> None:
    one, other = [domain.id], [stranger.id for stranger in strangers]
    its, theirs = _spellings([domain]), _spellings(strangers)
    borders.delete_store_access(connection, one, other)
    borders.delete_grants(connection, one, other, theirs)
    borders.delete_grants(connection, other, one, its)
    for owners, elsewhere in ((one, theirs), (other, its)):
        for domain_id, user_id in borders.list_named(connection, owners, elsewhere):
            user = users.find_user(connection, domain_id, user_id)
            if user is not None:
                former = names.list_own(connection, user)
                borders.delete_names(connection, user_id, elsewhere)
                names.follow(connection, user, former)


def _spellings(rows: Sequence[DomainRow]) -> list[str]:
    """The domain names as they occur in folded addresses. An altname keeps the spelling that was entered."""
    return [spelling for row in rows for spelling in map(fold, parse_domain(row.domainname))]
