"""The arguments and options of the commands `postroom ldap ...`."""

from dataclasses import dataclass

from postroom.app.services.ldap_sync_run import Options
from postroom.app.web.inputs import load
from postroom.schemas.downsync import BulkQuerySchema


@dataclass(frozen=True, slots=True)
class Search:
    """The arguments of `search`."""

    term: str
    domain: str | None
    org: str | None
    limit: int
    show_all: bool


@dataclass(frozen=True, slots=True)
class Sync:
    """The options of `diff` and `sync`."""

    domain: str | None
    org: str | None
    create: bool
    unlink: bool
    force: bool = False
    lang: str = ""

    def options(self, *, dry_run: bool) -> Options:
        """The options of the update. Raises InvalidError."""
        lang = load(BulkQuerySchema(), {"lang": self.lang})["lang"]
        return Options(self.create, lang, dry_run=dry_run, unlink=self.unlink, force=self.force)


@dataclass(frozen=True, slots=True)
class Import:
    """The arguments of `import`."""

    object_id: str
    domain: str | None
    org: str | None
    force: bool
    lang: str


@dataclass(slots=True)
class Plan:
    """How many users a sync would change; count() fills it in."""

    changes: int = 0
