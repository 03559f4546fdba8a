"""The form in which names and texts are compared: without regard to case, in any script."""

import unicodedata


def fold(text: str) -> str:
    """Two texts are one name exactly when their folded forms are equal (Unicode 3.13, canonical caseless match)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def printable(text: str) -> str:
    """The text on one line, without characters that cannot be seen or stored: controls, directions, lone surrogates."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return " " if character.isspace() else character if character.isprintable() else "?"
