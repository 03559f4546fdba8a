"""Made-up people: the same ones at every run."""

from collections.abc import Iterator
from dataclasses import dataclass

#: A surname that a handful of the people of each domain have, however many they are.
RARE_SURNAME = "Quixworth"
#: A surname that one in thirty has.
FREQUENT_SURNAME = "Schmidt"
_RARE_PEOPLE = 7
#: Statuses in the API. One person in forty is a shared mailbox, one in a hundred is suspended.
_SUSPENDED, _SHARED = 1, 4

_GIVEN_NAMES = (
    "Anna", "Bernd", "Carla", "Daniel", "Elif", "Fatima", "Georg", "Hannah", "Igor", "Johanna", "Karim", "Léa",
    "Mehmet", "Nadia", "Olaf", "Paula", "Quentin", "Renate", "Sven", "Tamara", "Ursula", "Viktor", "Wiebke", "Xenia",
    "Yusuf", "Zoë", "Arthur", "Birgit", "Chloé", "Dmitri", "Emma", "Felix", "Greta", "Hugo", "Ines", "Jörg", "Katrin",
    "Lukas", "Maria", "Noah",
)  # fmt: skip
_SURNAMES = (
    FREQUENT_SURNAME, "Becker", "Braun", "Castillo", "Demir", "Eriksson", "Fischer", "García", "Hoffmann", "Ivanova",
    "Jansen", "Kowalski", "Lindqvist", "Müller", "Nguyen", "O'Neill", "Petrov", "Rossi", "Sørensen", "Tanaka",
    "Ulbrich", "Vogel", "Wagner", "Yılmaz", "Zimmermann", "Andersson", "Bauer", "Çelik", "Dubois", "Esposito",
)  # fmt: skip
#: The letters and marks of these names that are not for an address.
_PLAIN = str.maketrans(
    {"é": "e", "ë": "e", "ö": "oe", "ü": "ue", "í": "i", "ø": "oe", "ı": "i", "Ç": "c", "ç": "c", "'": None}
)


@dataclass(frozen=True, slots=True)
class Person:
    """One user to be: `local` and `aliases` are the parts of addresses before the @."""

    local: str
    name: str
    status: int
    displaytypeex: int
    phone: str
    joined: str
    aliases: list[str]


def people(count: int) -> Iterator[Person]:
    """`count` people, each with another `local`; one in three has an alias."""
    rare_every = max(1, count // _RARE_PEOPLE)
    for number in range(count):
        given = _GIVEN_NAMES[number // len(_SURNAMES) % len(_GIVEN_NAMES)]
        is_rare = number % rare_every == rare_every // 2
        surname = RARE_SURNAME if is_rare else _SURNAMES[number % len(_SURNAMES)]
        plain_given, plain_surname = given.translate(_PLAIN).lower(), surname.translate(_PLAIN).lower()
        yield Person(
            local=f"{plain_given}.{plain_surname}{number}",
            name=f"{given} {surname}",
            status=_SHARED if number % 40 == 39 else _SUSPENDED if number % 100 == 50 else 0,
            displaytypeex=7 if number % 200 == 39 else 0,
            phone=f"+49 30 {number:07d}",
            joined=f"20{10 + number % 15}-{1 + number % 12:02d}-{1 + number % 28:02d} 08:{number % 60:02d}:00",
            aliases=[f"{plain_surname}.{plain_given[0]}{number}"] if number % 3 == 0 else [],
        )
