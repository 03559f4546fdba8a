"""Normal forms of names and texts in any script, to compare and to print them."""

import unicodedata
from itertools import chain

#: Invisible characters (Default_Ignorable_Code_Point of Unicode, which Python's own tables lack).
_IGNORABLE = dict.fromkeys(
    chain(
        (0x00AD, 0x034F, 0x061C, 0x3164, 0xFEFF, 0xFFA0),
        range(0x115F, 0x1161),
        range(0x17B4, 0x17B6),
        range(0x180B, 0x1810),
        range(0x200B, 0x2010),
        range(0x202A, 0x202F),
        range(0x2060, 0x2070),
        range(0xFE00, 0xFE10),
        range(0xFFF0, 0xFFF9),
        range(0x1BCA0, 0x1BCA4),
        range(0x1D173, 0x1D17B),
        range(0xE0000, 0xE1000),
    )
)


def fold(text: str) -> str:
    """The form to compare: two texts are the same name if their folded forms are equal (Unicode 3.13, compatibility
    caseless match). Invisible characters and the width of letters make no difference.
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFD", text.translate(_IGNORABLE)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", folded).casefold())


def printable(text: str) -> str:
    """The text on one line, without control characters, text direction marks and lone surrogates."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return " " if character.isspace() else character if character.isprintable() else "?"
