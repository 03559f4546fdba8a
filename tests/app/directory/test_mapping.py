from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.app.directory.config import DirectoryConfig, from_document
from postroom.app.directory.mapping import Entry, MappedUser, map_entry
from postroom.app.errors import InvalidError
from postroom.schemas.values import proptags


def tag(name: str) -> int:
    found = proptags.find(name)
    assert found is not None
    return found.tag


def config(**users: Any) -> DirectoryConfig:
    return from_document(
        {
            "connection": {"server": "localhost", "bindUser": "cn=x", "bindPass": "geheim"},
            "baseDn": "dc=x",
            "objectID": "objectGUID",
            "users": {"username": "mail", "templates": ["common"], "aliases": "proxyAddresses", **users},
        }
    )


def mapped(values: dict[str, list[str | bytes]], **users: Any) -> MappedUser:
    entry = Entry("cn=x", {"mail": ["anna@example.com"], **values})
    return map_entry(entry, config(**users), lambda _own, domain: domain in ("example.com", "xn--bcher-kva.example"))


def test_a_password_is_never_shown() -> None:
    """The bind password is not part of the configuration's text."""
    assert "geheim" not in repr(config())


def test_names_compare_without_case() -> None:
    """Attribute names are found in any case, addresses come out in lower case."""
    user = map_entry(
        Entry("", {"MAIL": ["Anna@EXAMPLE.com"], "GIVENNAME": ["Anna"]}), config(), lambda _own, _domain: True
    )
    assert user.username == "anna@example.com"
    assert user.properties[tag("givenname")] == "Anna"


def test_both_names_of_an_attribute_count() -> None:
    """A server may answer with the other standard name of an attribute, as OpenLDAP does with street."""
    assert mapped({"street": ["Ring 1"]}).properties[tag("streetaddress")] == "Ring 1"
    both = mapped({"street": ["Ring 1"], "streetAddress": ["Ring 2"]})
    assert both.properties[tag("streetaddress")] == "Ring 2"
    assert {"street", "streetAddress"} <= set(config().attributes())


@pytest.mark.parametrize(("values", "text"), [(["1"], "1"), (["1", "2", "3"], "1 2 3"), ([" 1 ", ""], "1")])
def test_several_values_are_joined(values: list[str | bytes], text: str) -> None:
    """Several values of a property are joined by a space in their order."""
    assert mapped({"telephoneNumber": values}).properties[tag("businesstelephonenumber")] == text


def test_an_address_property_holds_one_address() -> None:
    """Further values of mail do not end in the SMTP address property."""
    user = mapped({"mail": ["a@example.com", "b@example.com"]})
    assert user.properties[tag("smtpaddress")] == "a@example.com"
    assert user.aliases == ("b@example.com",)


def test_aliases() -> None:
    """Prefixes go, other kinds of address, repeats and the username are skipped, and the order stays."""
    values: list[str | bytes] = [
        "SMTP:Anna@example.com",
        "smtp:b@EXAMPLE.com",
        "B@example.com",
        "x500:/o=x",
        "sip:anna@example.com",
        "a@Bücher.example",
        b"c@example.com",
    ]
    user = mapped({"proxyAddresses": values})
    assert user.aliases == ("b@example.com", "a@xn--bcher-kva.example", "c@example.com")
    assert user.warnings == ()


@pytest.mark.parametrize(
    "texts", [["straße@example.com", "STRASSE@example.com"], ["e\u0301@example.com", "É@example.com", "é@example.com"]]
)
def test_aliases_compare_folded(texts: list[str | bytes]) -> None:
    """Two aliases that are one name to the database are one, and the username in other letters is none."""
    assert len(mapped({"proxyAddresses": texts}).aliases) == 1
    assert mapped({"mail": [texts[0]], "proxyAddresses": texts}).aliases == ()


@pytest.mark.parametrize("bad", ["anna muster", "anna\tm", "an\u00a0na", "a\x1b[31m", "x" * 321])
def test_an_altname_that_breaks_the_rules_is_left_out(bad: str) -> None:
    """What could not be entered by hand is left out with a warning."""
    user = mapped({"uid": [bad]}, altname="uid")
    assert user.altname is None
    assert len(user.warnings) == 1


@pytest.mark.parametrize(
    ("moment", "there"),
    [
        ("20240131120000Z", "2024-01-31 13:00:00"),
        ("20240731120000Z", "2024-07-31 14:00:00"),
        ("20240131120000+0100", "2024-01-31 12:00:00"),
        ("20241231233000Z", "2025-01-01 00:30:00"),
    ],
)
def test_times_are_in_the_configured_zone(moment: str, there: str) -> None:
    """A time is converted to the zone in which all other times are shown, as that was at the time."""
    vienna = replace(config(attributes={"born": "birthday"}), timezone=ZoneInfo("Europe/Vienna"))
    user = map_entry(Entry("", {"mail": ["a@example.com"], "born": [moment]}), vienna, lambda _own, _domain: True)
    assert user.properties[tag("birthday")] == there


@pytest.mark.parametrize("bad", ["nonsense", "a@foreign.example", "a\0@example.com", b"\xff@example.com", "smtp:"])
def test_a_bad_alias_is_left_out(bad: str | bytes) -> None:
    """An invalid or foreign alias gives a warning and the others stay."""
    user = mapped({"proxyAddresses": ["a@example.com", bad, "b@example.com"]})
    assert user.aliases == ("a@example.com", "b@example.com")
    assert len(user.warnings) == 1
    assert "\0" not in user.warnings[0]


@pytest.mark.parametrize("values", [[], [""], ["anna"], [b"\xff"]])
def test_no_username_no_user(values: list[str | bytes]) -> None:
    """Without a valid username the attribute to blame is named."""
    with pytest.raises(InvalidError, match="mail"):
        mapped({"mail": values})


def test_what_is_gone_is_removed_but_for_quotas_and_kind() -> None:
    """An attribute that is gone removes its property, but never a quota or the display type."""
    user = mapped({"title": [" "]}, templates=["common", "ActiveDirectory"])
    assert {tag("title"), tag("comment"), tag("departmentname")} <= user.removed
    kept = {"displaytypeex", "storagequotalimit", "prohibitsendquota", "prohibitreceivequota"}
    assert user.removed.isdisjoint({tag(name) for name in kept})


@pytest.mark.parametrize(
    ("value", "stored"), [("1073741824", 0), ("7", 7), ("-1073741818", -2147483642), ("1073741831", 7)]
)
def test_the_acl_bit_of_the_display_type_is_dropped(value: str, stored: int) -> None:
    """Bit 0x40000000 of displaytypeex is dropped, also from the negative numbers of Windows."""
    user = mapped({"msExchRecipientDisplayType": [value]}, templates=["ActiveDirectory"])
    assert user.properties[tag("displaytypeex")] == stored


def test_contacts() -> None:
    """The display type 6 or the contact filter make a contact."""
    assert mapped({"kind": ["6"]}, attributes={"kind": "displaytypeex"}).is_contact
    assert not mapped({}).is_contact
    entry = Entry("", {"mail": ["a@example.com"]}, is_contact=True)
    assert map_entry(entry, config(), lambda _own, _domain: True).is_contact


@pytest.mark.parametrize(("values", "quota"), [([], 500), (["7"], None), (["x"], 500)])
def test_default_quota(values: list[str | bytes], quota: int | None) -> None:
    """The default quota is offered when the entry gives none."""
    user = mapped({"mDBOverHardQuotaLimit": values}, templates=["ActiveDirectory"], defaultQuota=500)
    assert user.default_quota == quota


def test_explicit_mappings_come_first() -> None:
    """An explicit mapping takes its property and its attribute away from the templates."""
    values: dict[str, list[str | bytes]] = {"title": ["Boss"], "job": ["Clerk"], "sn": ["Weiß"]}
    user = mapped(values, attributes={"job": "title", "sn": "comment"})
    assert user.properties[tag("title")] == "Clerk"
    assert user.properties[tag("comment")] == "Weiß"
    assert tag("surname") not in user.properties
    assert tag("surname") not in user.removed


def test_later_templates_come_first() -> None:
    """A property two templates know comes from the later one, else from the earlier."""
    templates = ["common", "389ds"]
    assert mapped({"c": ["DE"], "co": ["Germany"]}, templates=templates).properties[tag("country")] == "DE"
    assert mapped({"co": ["Germany"]}, templates=templates).properties[tag("country")] == "Germany"


def test_display_name_and_altname() -> None:
    """The display name comes from displayName unless told otherwise, the login name from the template."""
    assert mapped({"displayName": ["Anna"]}, templates=[]).properties[tag("displayname")] == "Anna"
    values: dict[str, list[str | bytes]] = {"displayName": ["Anna"], "cn": ["A."], "uid": ["anna", "x"]}
    user = mapped(values, templates=["OpenLDAP"], displayName="cn")
    assert user.properties[tag("displayname")] == "A."
    assert user.altname == "anna"
    assert mapped({"uid": ["anna"], "nick": ["ann"]}, templates=["OpenLDAP"], altname="nick").altname == "ann"


@pytest.mark.parametrize(
    ("name", "values", "stored"),
    [
        ("birthday", ["19800131120000Z"], "1980-01-31 12:00:00"),
        ("birthday", ["1980013112+0200"], "1980-01-31 10:00:00"),
        ("birthday", ["198001311200.5-01"], "1980-01-31 13:00:00"),
        ("thumbnailphoto", [b"\xff\x00"], "/wA="),
        ("usercertificate", ["abc"], "YWJj"),
        ("business2telephonenumbers", ["1", "2"], ["1", "2"]),
        ("displaytypeex", ["-2147483648"], -(2**31)),
        ("storagequotalimit", ["0"], 0),
        ("comment", ["x" * 32767], "x" * 32767),
    ],
)
def test_kinds_of_values(name: str, values: list[str | bytes], stored: Any) -> None:
    """Each kind of property is given in the form the API shows."""
    user = mapped({"thing": values}, attributes={"thing": name})
    assert user.properties[tag(name)] == stored
    assert user.warnings == ()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("birthday", ["yesterday"]),
        ("birthday", ["19801331120000Z"]),
        ("birthday", ["00010101000000+0100"]),
        ("storagequotalimit", ["1.5"]),
        ("storagequotalimit", ["2147483648"]),
        ("storagequotalimit", ["-1"]),
        ("storagequotalimit", ["9" * 5000]),
        ("storagequotalimit", ["1", "2"]),
        ("comment", ["x" * 32768]),
        ("comment", ["x" * 20000, "x" * 20000]),
        ("comment", ["a\0b"]),
        ("comment", [b"\xff"]),
    ],
)
def test_unusable_values_are_left_out(name: str, values: list[str | bytes]) -> None:
    """A value that does not fit is a warning that names it; the property is neither set nor removed."""
    user = mapped({"thing": values}, attributes={"thing": name})
    assert tag(name) not in user.properties
    assert tag(name) not in user.removed
    assert len(user.warnings) == 1
    assert user.warnings[0].startswith(f"{name} from thing")


def test_booleans() -> None:
    """LDAP's TRUE and FALSE are booleans."""
    name = "alternaterecipientallowed"
    assert mapped({"thing": ["TRUE"]}, attributes={"thing": name}).properties[tag(name)] is True
    assert mapped({"thing": ["false"]}, attributes={"thing": name}).properties[tag(name)] is False
    assert mapped({"thing": ["maybe"]}, attributes={"thing": name}).warnings


@given(
    st.dictionaries(
        st.sampled_from(["proxyAddresses", "title", "msExchRecipientDisplayType", "uid", "description"]),
        st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=3),
    )
)
def test_no_entry_breaks_the_mapping(attributes: dict[str, list[str | bytes]]) -> None:
    """Whatever else is in an entry, a good username is enough for a user."""
    user = mapped(attributes, templates=["common", "ActiveDirectory", "OpenLDAP"])
    assert user.username == "anna@example.com"
