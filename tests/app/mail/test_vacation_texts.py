"""Texts of an out of office arrive as they are, and mean nothing to Sieve."""

from email.header import decode_header, make_header

import pytest

from tests.support.sieve import ALWAYS, Deliver, text_of

ODD = [
    '"; discard; #', "\\", '\\"', ".", "\r\n.\r\n", "text:\n.\n", "\u202eevil", "\U0001f600" * 50, "a\nb", "x" * 32_000,
    "${subject}", "/* */", "\x7f", "\u00fc" * 998, "%u %s", "From me\n\nFrom you",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_texts(deliver: Deliver, text: str) -> None:
    """Whatever the text is, it arrives as it is, and means nothing to Sieve."""
    reply = deliver(ALWAYS._replace(internal_reply=text, internal_subject=text.partition("\n")[0][:200]))
    assert text_of(reply) == "\n".join(text.splitlines())


@pytest.mark.parametrize(("subject", "shown"), [("", ""), ("Caf\u00e9 \U0001f600", "Caf\u00e9 \U0001f600")])
def test_subjects(deliver: Deliver, subject: str, shown: str) -> None:
    """An empty subject stays empty, and any script arrives."""
    reply = deliver(ALWAYS._replace(internal_subject=subject))
    assert reply is not None
    assert str(make_header(decode_header(reply["Subject"] or ""))) == shown


def test_html(deliver: Deliver) -> None:
    """A text in HTML is sent as that, with a plain text for who has no HTML."""
    text = "<html><head><title>x</title></head><body><p>I am &lt;away&gt;.</p><p>Bye<br>Anna</p></body></html>"
    reply = deliver(ALWAYS._replace(internal_reply=text))
    assert reply is not None
    plain, html = (bytes(part.get_payload(decode=True)).decode() for part in reply.get_payload())  # type: ignore[union-attr]
    assert reply.get_content_type() == "multipart/alternative"
    assert plain.split() == ["I", "am", "<away>.", "Bye", "Anna"]
    assert html.strip() == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        # Each of these took seconds, or failed, so that mail had to wait.
        ("<p>Hi<!--" + "<!--" * 8000, "Hi"),
        ("<p>Hi" + "<script " * 4000, "Hi"),
        ("<p>Hi" + "<br " * 8000, "Hi"),
        ("<p>" + "<" * 100 + "3", "<" * 100 + "3"),
        ("<p>Hi &#" + "9" * 5000 + ";", "Hi \ufffd"),
        ("<p>1 < 2 &#x1F600; &amp;lt;", "1 < 2 \U0001f600 &lt;"),
        ("<html><head><style>p {}</style><body>Hi<script>x</script>", "Hi"),
        ("<p>", ""),
    ],
)
def test_broken_html(deliver: Deliver, text: str, plain: str) -> None:
    """A text in broken HTML becomes a plain text, too, and what is not closed reaches to the end of it."""
    reply = deliver(ALWAYS._replace(internal_reply=text))
    assert reply is not None
    first, second = reply.get_payload()  # type: ignore[str-unpack]
    assert text_of(first) == plain  # type: ignore[arg-type]
    assert text_of(second) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["<anna@example.org> is away", "<3 you all", "Hello <br> there", "<ann> and <bert>"])
def test_no_html(deliver: Deliver, text: str) -> None:
    """Only a text that begins with a tag of HTML is HTML."""
    assert text_of(deliver(ALWAYS._replace(internal_reply=text))) == text
