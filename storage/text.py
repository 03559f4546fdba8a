"""The form in which names and texts are compared: without regard to case, in any script."""

import unicodedata


def fold(text: str) -> str:
    """Two texts are one name exactly when their folded forms are equal (Unicode 3.13, canonical caseless match)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
