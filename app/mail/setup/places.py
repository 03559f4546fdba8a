"""Where things are on this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Where the programs of both servers are; most people have no /usr/sbin in their PATH.
PROGRAMS: Final = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on this machine."""

    #: The folder with postroom's sockets.
    sockets: Path
    #: The folder with all mail, and the account to which it belongs.
    mail: Path
    user: str
    group: str
    #: Postfix's queue directory, in which its chroot is, and its settings.
    spool: Path
    postfix: Path
    #: Dovecot's settings.
    dovecot: Path
    #: Which of Dovecot's two languages its settings are in: 2.3 or 2.4.
    version: str = "2.3"

    @property
    def lua(self) -> Path:
        """The script by which Dovecot asks postroom."""
        return self.dovecot / "postroom.lua"

    @property
    def dovecot_included(self) -> Path:
        """The folder whose files Dovecot's settings include, in the order of their names."""
        return self.dovecot / "conf.d"

    @property
    def dovecot_settings(self) -> Path:
        """The settings for postroom; the last, so that they win."""
        return self.dovecot_included / "99-postroom.conf"
