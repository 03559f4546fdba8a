"""The further options of fetchmail that an entry may have: harmless ones, with values that stay values.

The text ends up in fetchmail's control file. Whatever runs a program (`preconnect`, `postconnect`, `mda`, `plugin`,
`plugout`), sends mail elsewhere (`smtphost`, `bsmtp`) or decides whom the password is told to (`ssl…`, `auth`, `via`)
is not among them, and neither is what has a field of its own, nor `idle`, with which fetchmail looks at no other
account any more.
"""

import re
from typing import Final

#: With `no` before it, too.
FLAGS: Final = frozenset(
    {
        "rewrite", "stripcr", "forcecr", "pass8bits", "mimedecode", "dropstatus", "dropdelivered",
        "uidl", "dns", "tracepolls",
    }
)  # fmt: skip
#: Followed by a number.
NUMBERS: Final = frozenset(
    {
        "limit", "warnings", "batchlimit", "fetchlimit", "fetchsizelimit", "fastuidl", "expunge",
        "timeout", "interval",
    }
)  # fmt: skip

# A quoted name has no quote and no backslash: nothing in it ends it early.
_OPTION = re.compile(
    rf"""(?: (?:no\s+)? (?:{"|".join(sorted(FLAGS))})
           | (?:{"|".join(sorted(NUMBERS))}) \s+ [0-9]{{1,9}}
           | folder \s+ (?: "[A-Za-z0-9 _./,&+-]{{1,200}}" | [A-Za-z0-9_./,&+-]{{1,200}} )
         ) (?=\s|\Z) \s*""",
    re.VERBOSE | re.ASCII,
)


def check_options(text: str) -> None:
    """ValueError with the reason unless every option is one of those above."""
    text = text.strip()
    position = 0
    while position < len(text):
        found = _OPTION.match(text, position)
        if found is None:
            word = text[position:].split()[0][:40]
            raise ValueError(
                f"{word!r} is not an option that is possible here, or its value is not. Possible are "
                f"{', '.join(sorted(FLAGS))} (or no before one of them), {', '.join(sorted(NUMBERS))} with a number, "
                "and folder with a name"
            )
        position = found.end()
