"""Tables: what spreadsheets make of them is read, and what is wrong is named with its line."""

import csv
import io
from typing import Any

import pytest

from postroom.app.exchange.cells import cells
from postroom.app.exchange.records import Record, UnreadableFileError
from postroom.app.exchange.tables import Table, write_table
from postroom.schemas.records import KINDS


def read(text: str | bytes, encoding: str = "utf-8") -> list[Record]:
    """The records of a table of users."""
    raw = text.encode() if isinstance(text, str) else text
    return [*Table(io.BytesIO(raw), "users.csv", "user", KINDS["user"], encoding).records()]


@pytest.mark.parametrize(
    "text",
    [
        "username,status,aliases,properties.displayname\nanna,0,a@x.org b@x.org,Anna Berg\n",
        "username;status;aliases;properties.displayname\r\nanna;0;a@x.org, b@x.org;Anna Berg\r\n",
        "\ufeffusername\tstatus\taliases\tproperties.displayname\nanna\t0\ta@x.org;b@x.org\tAnna Berg",
        'username,"status",aliases,properties.displayname\n\n,,,\nanna, 0 ,"a@x.org\nb@x.org","Anna Berg"\n\n',
    ],
    ids=["plain", "Excel in German", "tabs and a mark of the byte order", "quotes and empty rows"],
)
def test_forms(text: str) -> None:
    """The same people, however they were saved."""
    (record,) = read(text)
    assert record.data == {
        "username": "anna",
        "status": 0,
        "aliases": ["a@x.org", "b@x.org"],
        "properties": {"displayname": "Anna Berg"},
    }


def test_latin_1() -> None:
    """Is refused row by row, unless it is named."""
    raw = "username,properties.displayname\nanna,Anna\npaul,Müller\n".encode("latin-1")
    first, second = read(raw)
    assert (first.faults, second.place) == ((), "users.csv, line 3")
    assert second.faults == ["properties.displayname: Not UTF-8. Save the file as UTF-8, or name its --encoding."]
    assert read(raw, "latin-1")[1].data["properties"] == {"displayname": "Müller"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "users.csv has no header"),
        ("\n", "users.csv has no header"),
        ("usrname\nanna\n", 'line 1: unknown column "usrname"; did you mean "username"?'),
        ("username,username\nanna,anna\n", "line 1: two columns are about username"),
        ("username,oof,oof.state\nanna,,\n", "line 1: two columns are about oof"),
        (b"usern\xe4me\nanna\n", "line 1: Not UTF-8"),
        ('username,lang\nanna,"de\npaul,de\n', "line 2: unexpected end of data. Is there a quotation mark"),
    ],
)
def test_the_file_is_wrong(text: str | bytes, reason: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(UnreadableFileError) as caught:
        read(text)
    assert reason in str(caught.value)


def test_a_row_is_wrong() -> None:
    """A row with too few or too many cells is named by the line where it begins."""
    rows = read('username,lang\n"an\nna",de\nanna\npaul,de,\n')
    assert [(row.place, row.faults) for row in rows] == [
        ("users.csv, line 2", ()),
        ("users.csv, line 4", ["Has 1 cells, and the header 2."]),
        ("users.csv, line 5", ["Has 3 cells, and the header 2."]),
    ]


#: Values whose cells say something else to a spreadsheet, or to whoever reads them.
VALUES: dict[str, Any] = {
    "username": "anna",
    "status": 0,
    "pop3_imap": True,
    "lang": None,
    "aliases": ["a@x.org"],
    "altnames": [{"altname": "a b"}],
    "roles": ["two words", "one"],
    "properties": {
        "displayname": "=HYPERLINK(1)",
        "comment": ' "quoted", \r\n and more; \t',
        "businesstelephonenumber": "+49 30 1",
        "surname": "",
        "givenname": "null",
        "title": "true",
        "department": "[x]",
        "location": "-1",
        "gender": -3,
        "addressbookismaster": False,
        "addressbookproxyaddresses": ["smtp:a b", ""],
        "delegateflags": [1, 2],
    },
    "oof": {"state": 1, "internalSubject": "", "internalReply": "@home"},
    "storeAccess": [],
}


def test_every_value_comes_back() -> None:
    """What is written is read as the same, and no cell begins as a formula does."""
    text = io.StringIO()
    write_table(text, [column for column, _ in cells(VALUES)], [VALUES])
    (record,) = read(text.getvalue())
    assert record.data == VALUES
    assert not any(cell.startswith(("=", "+", "@")) for _, cell in cells(VALUES))


@pytest.mark.parametrize(
    "encoding", ["rot13", "hex", "idna", "punycode", "undefined", "utf-7", "raw_unicode_escape", "latin-99"]
)
def test_what_is_no_encoding_of_tables(encoding: str) -> None:
    """Python has names of more than encodings; none of them ends in a bug."""
    with pytest.raises(UnreadableFileError, match="There is no such encoding of tables"):
        read("username\nanna\n", encoding)


def test_another_encoding_than_named() -> None:
    """Where the file as a whole cannot be read so, it says so."""
    with pytest.raises(UnreadableFileError, match=r"users\.csv is not in the encoding utf-16"):
        read("username\nanna\n", "utf-16")


@pytest.mark.parametrize(
    "cell", ["[" * 100_000, "[NaN]", "[1e999]", '[""\\ud800""]', '{""a"": Infinity}'], ids=lambda cell: cell[:20]
)
def test_json_that_no_request_could_have(cell: str) -> None:
    """Is no JSON in a cell either: it stays a text, which the schema refuses."""
    (record,) = read(f'username,altnames\nanna,"{cell}"\n')
    assert record.data["altnames"] == cell.replace('""', '"')


def test_a_header_of_many_columns() -> None:
    """Each is looked at once: the time that a header takes grows with its length, and does not explode."""
    columns = ",".join(f"properties.x{number}" for number in range(50_000))
    with pytest.raises(UnreadableFileError, match="two columns are about properties"):
        read(f"username,{columns},properties\n")
    with pytest.raises(UnreadableFileError, match="unknown column"):
        read(f"username,properties{'.a' * 100_000}\n")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "text", ["Anna;=1+1", 'a;"=1+1', "a;  @SUM(1)", "a\n=1+1", "a\t+1", 'a";=1+1;"', "=1+1", "Mo; Tu", "a\r=1"]
)
def test_no_cell_is_a_formula(text: str, separator: str) -> None:
    """Wherever a spreadsheet divides: that of a German Excel takes a semicolon for the end of a cell."""
    for data in ({"properties": {"comment": text}}, {"altnames": [{"altname": text}]}):
        stream = io.StringIO()
        columns = [column for column, _ in cells(data)]
        write_table(stream, ["username", *columns], [{"username": "anna", **data}])
        rows = csv.reader(io.StringIO(stream.getvalue(), newline=""), delimiter=separator)
        assert not [cell for row in rows for cell in row if cell.strip().startswith(("=", "+", "-", "@"))]
        assert read(stream.getvalue())[0].data == {"username": "anna", **data}
