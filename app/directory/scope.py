"""The scope of a sync: which domains it covers, and which names it may give to users."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from postroom.schemas.addresses import domain_of, domain_part
from postroom.storage.domains import DomainRow

#: The domains that share contacts: an organisation (its ID, 0), or a domain without one (None, its ID).
Home = tuple[int | None, int]


def home_of(domain: DomainRow) -> Home:
    """The home of a domain's contacts. A contact exists once in each home."""
    return (domain.org_id, 0) if domain.org_id is not None else (None, domain.id)


@dataclass(frozen=True, slots=True)
class Scope:
    """The domains whose users are synced (`domains`). `all_domains` is name -> row of every domain, for aliases.

    `create`: create users for unlinked entries. `lang`: language of users without one. `reach`: the domains that the
    caller may read, or change; None: all.
    """

    domains: Mapping[int, DomainRow]
    all_domains: Mapping[str, DomainRow]
    create: bool = False
    lang: str = ""
    reach: Container[int] | None = None

    def orgs(self) -> dict[int, int | None]:
        """Domain -> its organisation at the time when the directory was asked."""
        return {row.id: row.org_id for row in self.all_domains.values()}

    def homes(self) -> dict[Home, int]:
        """Home of contacts -> the domain that stores them (the oldest of the home)."""
        homes: dict[Home, int] = {}
        for domain_id in sorted(self.domains):
            homes.setdefault(home_of(self.domains[domain_id]), domain_id)
        return homes

    def siblings(self) -> list[int]:
        """The domains, and all others of their organisations, which share contacts with them."""
        orgs = {domain.org_id for domain in self.domains.values()} - {None}
        return [row.id for row in self.all_domains.values() if row.id in self.domains or row.org_id in orgs]

    def accepts(self, own: str, other: str) -> bool:
        """Whether users of domain `own` may have aliases in `other`: the same domain or one of its organisation."""
        if own == other:
            return True
        domain = self.all_domains.get(own)
        return domain is not None and domain.is_sibling_of(self.all_domains.get(other))

    def may_have(self, own: str, name: str) -> bool:
        """Whether the caller may give a user of domain `own` a new name: in that domain, or in another within reach."""
        other = domain_part(name)
        if other in (None, own):
            return True
        return self.accepts(own, other or "") and self._is_within_reach(self.all_domains[other or ""])

    def shows(self, addresses: Iterable[str], *, outside: bool) -> bool:
        """Whether the caller may see a person with these addresses: all must be in domains within reach.

        `outside`: also allow addresses in foreign domains, as contacts have them.
        """
        rows = [self.all_domains.get(domain_of(address)) for address in addresses]
        return all(outside if row is None else self._is_within_reach(row) for row in rows)

    def _is_within_reach(self, domain: DomainRow) -> bool:
        return self.reach is None or domain.id in self.reach
