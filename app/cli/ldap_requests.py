"""What the commands `postroom ldap ...` are asked for."""

from dataclasses import dataclass

from postroom.app.services.ldap_sync_run import Options
from postroom.app.web.inputs import load
from postroom.schemas.downsync import BulkQuerySchema


@dataclass(frozen=True, slots=True)
class Search:
    """What `search` is asked for."""

    term: str
    domain: str | None
    org: str | None
    limit: int
    show_all: bool


@dataclass(frozen=True, slots=True)
class Sync:
    """What `diff` and `sync` are asked for."""

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
    """What `import` is asked for."""

    object_id: str
    domain: str | None
    org: str | None
    force: bool
    lang: str


@dataclass(slots=True)
class Plan:
    """How many users a sync would change, once somebody has counted."""

    changes: int = 0
