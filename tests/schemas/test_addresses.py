import pytest

from postroom.schemas.addresses import domain_of, normalise_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna@Example.COM", "anna@example.com"),
        ("JÖRG@Bücher.example", "jörg@xn--bcher-kva.example"),
        ("jörg@xn--bcher-kva.EXAMPLE", "jörg@xn--bcher-kva.example"),
        ("a.b+c@localhost", "a.b+c@localhost"),
        ("a@host.test", "a@host.test"),
    ],
)
def test_one_spelling(text: str, expected: str) -> None:
    """An address has one spelling, which stays the same when it is normalised again."""
    assert normalise_address(text) == expected
    assert normalise_address(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@example.com",
        "anna@",
        "a b@example.com",
        "a@b@c",
        "a@example.com\n",
        "a@ex\0ample.com",
        "Anna <a@example.com>",
        "a@" + "x" * 70 + ".com",
        "a" * 400 + "@example.com",
        "a\ud800@example.com",
    ],
)
def test_invalid_addresses_are_refused(text: str) -> None:
    """What is no address is refused with a sentence that holds no Python."""
    with pytest.raises(ValueError) as caught:
        normalise_address(text)
    assert type(caught.value) is ValueError
    assert str(caught.value)
    assert "Error" not in str(caught.value)


def test_domain_of() -> None:
    """The domain is what follows the last @, in lower case."""
    assert domain_of("anna@Example.com") == "example.com"
