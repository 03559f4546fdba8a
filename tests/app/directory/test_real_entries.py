"""The mapping, with entries as a real server gives them out."""

import asyncio
import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from postroom.app.directory.client import Directory
from postroom.app.directory.config import from_document
from postroom.app.directory.mapping import MappedUser, map_entry
from postroom.app.directory.object_id import escape_object_id, parse_object_id
from postroom.app.directory.templates import TEMPLATES
from postroom.schemas.values import proptags
from tests.support.memory_directory import SERVERS, Server
from tests.support.slapd import PEOPLE_DN, config_document

COMMON = """
telephoneNumber businesstelephonenumber, otherTelephone business2telephonenumber, mobile mobiletelephonenumber,
homePhone hometelephonenumber, otherHomePhone home2telephonenumber, facsimileTelephoneNumber primaryfaxnumber,
otherFacsimileTelephoneNumber businessfaxnumber, pager pagertelephonenumber, description comment,
physicalDeliveryOfficeName officelocation, givenName givenname, sn surname, l locality, title title, initials initials,
preferredLanguage language, employeeNumber organizationalidnumber, postalAddress postaladdress, company companyname,
co country, st stateorprovince, streetAddress streetaddress, postalCode postalcode, postOfficeBox postofficebox,
assistant assistant, wWWHomePage businesshomepage, displayName displayname, ou addressbookorganizationalunitname,
mail smtpaddress"""
WINDOWS = f"""
department departmentname, mDBOverHardQuotaLimit storagequotalimit, mDBOverQuotaLimit prohibitsendquota,
msExchRecipientDisplayType displaytypeex,
{", ".join(f"extensionAttribute{number} addressbookextensionattribute{number}" for number in range(1, 16))}"""
UNIX = "departmentNumber departmentname"
#: Template -> attribute -> property, as the API's description has it.
TABLE: Mapping[str, Mapping[str, str]] = {
    template: {line.split()[0]: line.split()[1] for line in text.split(",")}
    for template, text in {
        "common": COMMON,
        "ActiveDirectory": WINDOWS,
        "OpenLDAP": UNIX,
        "Univention": UNIX,
        "389ds": f"{UNIX}, c country",
    }.items()
}
LINES = [(template, attribute, name) for template, table in TABLE.items() for attribute, name in table.items()]
NUMBERS = {"mDBOverHardQuotaLimit": 1048576, "mDBOverQuotaLimit": 524288, "msExchRecipientDisplayType": 7}
#: Attributes whose syntax does not take any text.
VALUES = {"c": "AT", "assistant": "cn=Zoë,dc=example,dc=com", "mail": "full@example.com", "preferredLanguage": "de-AT"}


def value_of(attribute: str) -> str:
    return str(NUMBERS.get(attribute) or VALUES.get(attribute) or f"{attribute} 1")


def tag(name: str) -> int:
    found = proptags.find(name)
    assert found is not None
    return found.tag


def ldif(uid: str, values: Mapping[str, str | bytes | Sequence[str | bytes]]) -> str:
    lines = [f"dn: uid={uid},{PEOPLE_DN}", f"uid: {uid}", f"cn: {uid}"]
    lines += [f"objectClass: {name}" for name in ("inetOrgPerson", "mailPerson", "user")]
    for name, some in ({"sn": uid} | dict(values)).items():
        for value in [some] if isinstance(some, str | bytes) else some:
            raw = value.encode() if isinstance(value, str) else value
            lines.append(f"{name}:: {base64.b64encode(raw).decode()}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module", params=SERVERS)
def slapd(request: pytest.FixtureRequest) -> Iterator[Server]:
    with request.param() as server:
        yield server


class Person:
    """Somebody in the directory, and what the mapping makes of them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.uid = "person"

    def add(self, **values: str | bytes | Sequence[str | bytes]) -> None:
        self._server.add(ldif(self.uid, {"mail": "anna@example.com", **values}))

    def change(self, lines: str) -> None:
        self._server.modify(f"dn: uid={self.uid},{PEOPLE_DN}\nchangetype: modify\n{lines}\n")

    def remove(self) -> None:
        self._server.delete(f"uid={self.uid},{PEOPLE_DN}")

    def mapped(self, object_id: bytes | None = None, attribute: str = "uid", **users: Any) -> MappedUser:
        document = config_document(self._server)
        document["objectID"] = attribute
        document["users"] = {"username": "mail", "templates": ["common", "ActiveDirectory"], **users}

        async def fetch() -> MappedUser:
            directory = Directory(from_document(document), opener=self._server.open)
            entry = await directory.fetch(object_id or self.uid.encode())
            await directory.close()
            assert entry is not None
            assert entry.object_id == (object_id or self.uid.encode())
            return map_entry(entry, directory.config, lambda _own, domain: domain == "example.com")

        return asyncio.run(fetch())


@pytest.fixture
def person(slapd: Server) -> Iterator[Person]:
    made = Person(slapd)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def full(slapd: Server) -> Iterator[Mapping[str, MappedUser]]:
    """Somebody with every attribute that any template knows: template -> the user by that template."""
    attributes = {attribute for table in TABLE.values() for attribute in table}
    slapd.add(ldif("full", {name: value_of(name) for name in sorted(attributes)} | {"sAMAccountName": "ACME"}))
    person = Person(slapd)
    person.uid = "full"
    yield {template: person.mapped(templates=[template]) for template in TABLE}
    person.remove()


@pytest.mark.parametrize(("template", "attribute", "name"), LINES)
def test_every_line_of_every_template(full: Mapping[str, MappedUser], template: str, attribute: str, name: str) -> None:
    """Each attribute of a template fills the property of the API's table."""
    expected: Any = NUMBERS.get(attribute, value_of(attribute))
    # The only property of them that holds several values.
    assert full[template].properties[tag(name)] == ([expected] if attribute == "ou" else expected)
    assert full[template].warnings == ()


@pytest.mark.parametrize("template", TABLE)
def test_templates_have_no_other_lines(template: str) -> None:
    """A template fills nothing but what the table says."""
    assert TEMPLATES[template].attributes == TABLE[template]


@pytest.mark.parametrize(
    ("template", "altname"),
    [("common", None), ("ActiveDirectory", "ACME"), ("OpenLDAP", "full"), ("Univention", "full"), ("389ds", "full")],
)
def test_login_names_of_templates(full: Mapping[str, MappedUser], template: str, altname: str | None) -> None:
    """The other name to log in with is sAMAccountName in Active Directory, and uid elsewhere."""
    assert full[template].altname == altname


@pytest.mark.parametrize(
    ("template", "attribute"),
    [
        ("ActiveDirectory", "proxyAddresses"),
        ("Univention", "mailAlternativeAddress"),
        ("389ds", "mailAlternateAddress"),
    ],
)
def test_aliases_of_templates(person: Person, template: str, attribute: str) -> None:
    """Aliases come from the attribute that such a directory has for them."""
    person.add(**{attribute: ["a@example.com", "b@example.com"]})
    assert person.mapped(templates=[template]).aliases == ("a@example.com", "b@example.com")


@pytest.mark.parametrize("values", [[], ["1"], ["1", "2"], ["b", "a", "c"], [str(number) for number in range(500)]])
def test_none_one_and_many(person: Person, values: list[str]) -> None:
    """No value is no property, several are joined by a space in the order of the server."""
    person.add(description=values)
    user = person.mapped()
    assert user.properties.get(tag("comment")) == (" ".join(values) or None)
    assert (tag("comment") in user.removed) == (not values)


def test_names_in_any_case(person: Person) -> None:
    """Attributes may be configured in any case, addresses come out in lower case."""
    person.add(mail="Anna.SCHMIDT@Example.COM", title="Boss", proxyAddresses="Info@EXAMPLE.com")
    user = person.mapped(username="MAIL", aliases="PROXYaddresses", attributes={"TITLE": "comment"})
    assert user.username == "anna.schmidt@example.com"
    assert user.aliases == ("info@example.com",)
    assert user.properties[tag("comment")] == "Boss"


def test_prefixes_and_bad_aliases(person: Person) -> None:
    """`smtp:` goes in any case; other kinds of address are no aliases; what is invalid or foreign gives a warning each,
    and the rest goes on."""
    person.add(
        proxyAddresses=[
            *(
                "SMTP:anna@example.com",
                "smtp:a@example.com",
                "Smtp:b@example.com",
                "x500:/o=ACME",
                "sip:anna@example.com",
            ),
            *("smtp:not an address", "smtp:anna@elsewhere.example", "c@example.com", "smtp:"),
        ]
    )
    user = person.mapped()
    assert user.aliases == ("a@example.com", "b@example.com", "c@example.com")
    assert len(user.warnings) == 3


def test_further_usernames_are_aliases(person: Person) -> None:
    """Further values of the username attribute are aliases, before those of the attribute for aliases, each once."""
    person.add(
        mail=["anna@example.com", "B@example.com", "c@example.com"],
        proxyAddresses=["smtp:d@example.com", "smtp:b@example.com", "SMTP:anna@example.com"],
    )
    assert person.mapped().aliases == ("b@example.com", "c@example.com", "d@example.com")


@pytest.mark.parametrize(
    "guid",
    [
        bytes.fromhex("5c2a282900ff41"),
        bytes(16),
        bytes(range(16)),
        bytes.fromhex("5c5c5c2a2a2a28282829292900000000"),
        b"(objectGUID=*)))",
        bytes(range(256)),
    ],
)
def test_binary_ids(person: Person, guid: bytes) -> None:
    """An object ID of any bytes is found, also in the form in which the API shows it."""
    person.add(objectGUID=guid)
    assert person.mapped(guid, "objectGUID").username == "anna@example.com"
    assert person.mapped(parse_object_id(escape_object_id(guid)), "objectGUID").username == "anna@example.com"


def test_what_vanishes(person: Person) -> None:
    """An attribute that is taken away removes its property; the display type and the quotas stay as they were."""
    person.add(title="Boss", mDBOverHardQuotaLimit="10", mDBOverQuotaLimit="9", msExchRecipientDisplayType="7")
    before = person.mapped()
    numbers = {tag("storagequotalimit"): 10, tag("prohibitsendquota"): 9, tag("displaytypeex"): 7}
    assert before.properties.items() >= (numbers | {tag("title"): "Boss"}).items()
    gone = ("title", "mDBOverHardQuotaLimit", "mDBOverQuotaLimit", "msExchRecipientDisplayType")
    person.change("\n-\n".join(f"delete: {name}" for name in gone))
    after = person.mapped()
    assert tag("title") in after.removed
    assert after.removed.isdisjoint(numbers)
    assert after.properties.keys().isdisjoint(numbers)


@pytest.mark.parametrize(("value", "stored"), [("1073741824", 0), ("-1073741818", -2147483642), ("1073741831", 7)])
def test_the_acl_bit(person: Person, value: str, stored: int) -> None:
    """Bit 0x40000000 of the display type is dropped."""
    person.add(msExchRecipientDisplayType=value)
    assert person.mapped().properties[tag("displaytypeex")] == stored


def test_a_quota_too_large(person: Person) -> None:
    """A number that the property does not hold is left out with a warning, and takes nothing else along."""
    person.add(mDBOverHardQuotaLimit="2147483648", title="Boss")
    user = person.mapped(defaultQuota=5)
    assert tag("storagequotalimit") not in user.properties
    assert user.default_quota == 5
    assert user.properties[tag("title")] == "Boss"
    assert len(user.warnings) == 1


def test_values_keep_their_form(person: Person) -> None:
    """What looks like a number, a boolean or another language stays the text that it is."""
    person.add(
        telephoneNumber="+4312345", title="TRUE", employeeNumber="0x10", sn="Öztürk 李 \U0001f4ee", postalCode="01"
    )
    stored = person.mapped().properties
    names = ("businesstelephonenumber", "title", "organizationalidnumber", "surname", "postalcode")
    assert [stored[tag(name)] for name in names] == ["+4312345", "TRUE", "0x10", "Öztürk 李 \U0001f4ee", "01"]
