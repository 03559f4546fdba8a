"""What users may change of their own, if the administrators of their domain let them."""

from typing import Final

#: In the order in which responses have them.
SUBJECTS: Final = ("oof", "devices", "forward", "delegates", "sendas")
#: What a domain lets its users change that says nothing else: whatever sends no mail elsewhere, nor for others.
DEFAULT: Final = ("oof", "devices")
