"""Possible values of the fields of a domain."""

from typing import Final

STATUS_ACTIVE: Final = 0
STATUS_SUSPENDED: Final = 1
#: Marked as deleted: its users cannot log in, but all its data still exists.
STATUS_DELETED: Final = 3
