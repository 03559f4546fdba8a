"""What the fields of a domain may hold."""

from typing import Final

#: Marked as deleted: nobody of it logs in, and everything of it is still there.
STATUS_DELETED: Final = 3
