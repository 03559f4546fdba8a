"""Whose users an update is about, and which names they may have."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from postroom.schemas.addresses import domain_of, domain_part
from postroom.storage.domains import DomainRow

#: Who shares contacts: the domains of an organisation, (its ID, 0), or a domain without one, (None, its ID).
Home = tuple[int | None, int]


def home_of(domain: DomainRow) -> Home:
    """The home of a domain's contacts; a contact exists once in it."""
    return (domain.org_id, 0) if domain.org_id is not None else (None, domain.id)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose users are updated. `domains` are those; `all_domains` is name -> row of every one there is, for aliases.

    `create`: entries that nobody is linked to become users; `lang` is for users without one. `reach` are the domains
    that whoever asks may read, or change; None: all.
    """

    domains: Mapping[int, DomainRow]
    all_domains: Mapping[str, DomainRow]
    create: bool = False
    lang: str = ""
    reach: Container[int] | None = None

    def orgs(self) -> dict[int, int | None]:
        """Domain -> its organisation when the directory was asked."""
        return {row.id: row.org_id for row in self.all_domains.values()}

    def homes(self) -> dict[Home, int]:
        """Home of contacts -> the domain that gets them, the oldest one."""
        homes: dict[Home, int] = {}
        for domain_id in sorted(self.domains):
            homes.setdefault(home_of(self.domains[domain_id]), domain_id)
        return homes

    def siblings(self) -> list[int]:
        """The domains, and those that share an organisation with them: they see each other's contacts."""
        orgs = {domain.org_id for domain in self.domains.values()} - {None}
        return [row.id for row in self.all_domains.values() if row.id in self.domains or row.org_id in orgs]

    def accepts(self, own: str, other: str) -> bool:
        """Whether users of a domain may have aliases in another one: in itself, and in those of its organisation."""
        if own == other:
            return True
        domain = self.all_domains.get(own)
        return domain is not None and domain.is_sibling_of(self.all_domains.get(other))

    def may_have(self, own: str, name: str) -> bool:
        """Whether whoever asks may give a user of a domain a new name: in that domain, or in another one of theirs."""
        other = domain_part(name)
        if other in (None, own):
            return True
        return self.accepts(own, other or "") and self._is_within_reach(self.all_domains[other or ""])

    def shows(self, addresses: Iterable[str], *, outside: bool) -> bool:
        """Whether whoever asks may know of somebody with these addresses: all are in domains within their reach.

        `outside`: addresses that are in no domain here are fine, too, as contacts have them.
        """
        rows = [self.all_domains.get(domain_of(address)) for address in addresses]
        return all(outside if row is None else self._is_within_reach(row) for row in rows)

    def _is_within_reach(self, domain: DomainRow) -> bool:
        return self.reach is None or domain.id in self.reach
