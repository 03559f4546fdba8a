"""The extra options of fetchmail that an entry may have.

The text becomes part of fetchmail's control file, so only harmless options are allowed, and a value cannot inject
another option. Not allowed are options that run a program (`preconnect`, `postconnect`, `mda`, `plugin`, `plugout`),
send mail elsewhere (`smtphost`, `bsmtp`) or decide who receives the password (`ssl…`, `auth`, `via`). Options with a
field of their own are not allowed either, nor is `idle`, which makes fetchmail ignore all other accounts.
"""

import re
from typing import Final

#: Options without a value; also possible with `no` before them.
FLAGS: Final = frozenset(
    {
        "rewrite", "stripcr", "forcecr", "pass8bits", "mimedecode", "dropstatus", "dropdelivered",
        "uidl", "dns", "tracepolls",
    }
)  # fmt: skip
#: Options with a number.
NUMBERS: Final = frozenset(
    {
        "limit", "warnings", "batchlimit", "fetchlimit", "fetchsizelimit", "fastuidl", "expunge",
        "timeout", "interval",
    }
)  # fmt: skip

# A quoted name contains no quote and no backslash, so nothing in it can end it early.
_OPTION = re.compile(
    rf"""(?: (?:no\s+)? (?:{"|".join(sorted(FLAGS))})
           | (?:{"|".join(sorted(NUMBERS))}) \s+ [0-9]{{1,9}}
           | folder \s+ (?: "[A-Za-z0-9 _./,&+-]{{1,200}}" | [A-Za-z0-9_./,&+-]{{1,200}} )
         ) (?=\s|\Z) \s*""",
    re.VERBOSE | re.ASCII,
)


def check_options(text: str) -> None:
    """Raises ValueError with the reason unless every option is allowed."""
    text = text.strip()
    position = 0
    while position < len(text):
        found = _OPTION.match(text, position)
        if found is None:
            word = text[position:].split()[0][:40]
            raise ValueError(
                f"{word!r} is not an option that is possible here, or its value is invalid. Possible are "
                f"{', '.join(sorted(FLAGS))} (or no before one of them), {', '.join(sorted(NUMBERS))} with a number, "
                "and folder with a name"
            )
        position = found.end()
