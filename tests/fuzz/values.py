"""Values that break programs, and what they do to a body that was right. All of it from one random generator."""

import random
from typing import Any, Final

#: Texts that programs have fallen over: empty, long, half of a character, of other alphabets and other languages.
TEXTS: Final = (
    "", " ", "a", "A" * 300, "x" * 5_000, "\0", "a\0b", "\n", "\r\n", "\x1b[2J", "\ud800", "\ufeff", "\u202e",
    "\uff41dmin",
    "İ", "ß" * 200, "é" * 100, "e\u0301", "🦆", "👨‍👩‍👧‍👦" * 40, "١٢٣", "NaN", "null", "true", "-1", "0", "1e309",
    "0x10",
    "' OR 1=1 --", '"; DROP TABLE users; --', "%00", "%s%n", "{0.__class__}", "${jndi:ldap://127.0.0.1:9/a}",
    "../../etc/passwd",
    "*", "*)(uid=*", "\\2a", "(|(a=*))", "a@b", "a@example.org", "anna@example.org", "@", "a@" + "b." * 130 + "org",
    "a@xn--a.example", "a@ü.example", "." * 300, "-", "2026-02-30 25:61:61", "9999-12-31 23:59:59", "0000-00-00",
    "admin",
    "localhost", "::1", "file:///etc/passwd", "<script>", "\u2028", "a" * 64 + "@example.org", "🦆@example.org",
    "smtp:a@b.org",
)  # fmt: skip

NUMBERS: Final = (
    0, 1, -1, 2, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**53, 2**63 - 1, 2**63,
    -(2**63), -(2**63) - 1,
    2**64, 10**30, 0.0, -0.0, 0.5, 1e308, -1e308, 1e-320,
)  # fmt: skip


def value(rng: random.Random, depth: int = 0) -> Any:
    """Anything that JSON can say."""
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind < 3:
        return rng.choice(TEXTS)
    if kind < 5:
        return rng.choice(NUMBERS)
    if kind == 5:
        return rng.choice((None, True, False))
    if kind == 6:
        return [value(rng, depth + 1) for _ in range(rng.choice((0, 1, 2, 5, 60)))]
    if kind == 7:
        return {rng.choice(TEXTS): value(rng, depth + 1) for _ in range(rng.choice((0, 1, 3, 40)))}
    return _nested(rng.choice((5, 50, 400)))


def _nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def changed(rng: random.Random, body: Any) -> Any:
    """The body with one to three things in it replaced, removed, added or repeated."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        body = _changed_once(rng, body)
    return body


def _changed_once(rng: random.Random, body: Any) -> Any:
    if isinstance(body, dict) and body and rng.random() < 0.9:
        name = rng.choice(list(body))
        action = rng.randrange(6)
        if action < 3:
            return {**body, name: _changed_once(rng, body[name]) if rng.random() < 0.5 else value(rng)}
        if action == 3:
            return {each: body[each] for each in body if each != name}
        if action == 4:
            return {**body, rng.choice(TEXTS): value(rng)}
        return {**body, name.upper() if rng.random() < 0.5 else f"{name} ": body[name]}
    if isinstance(body, list) and body and rng.random() < 0.9:
        at = rng.randrange(len(body))
        return rng.choice(
            (
                [*body[:at], _changed_once(rng, body[at]), *body[at + 1 :]],
                [*body, value(rng)],
                body * rng.choice((2, 30)),
                body[:at],
            )
        )
    return value(rng)
