import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields

from postroom.app.directory.config import from_document
from postroom.app.directory.templates import TEMPLATES
from postroom.schemas.ldap import TEMPLATE_NAMES, LdapConfigSchema, with_defaults
from postroom.schemas.ldap_filters import check_filter
from postroom.schemas.ldap_text import server_addresses
from postroom.schemas.values import proptags

GOOD: dict[str, Any] = {
    "disabled": False,
    "enableContacts": False,
    "connection": {"server": "ldap://a.example", "bindUser": "cn=x", "bindPass": "geheim", "starttls": True},
    "baseDn": "dc=example,dc=com",
    "objectID": "objectGUID",
    "users": {
        "username": "mail",
        "displayName": "cn;lang-de",
        "filter": "(objectClass=person)",
        "filters": ["objectclass=person"],
        "searchAttributes": ["mail", "cn"],
        "attributes": {"telephoneNumber": "businesstelephonenumber"},
        "templates": ["common", "ActiveDirectory"],
        "defaultQuota": 0,
        "aliases": "proxyAddresses",
        "altname": "uid",
        "contactFilter": "(objectClass=contact)",
    },
    "groups": {"groupMemberAttr": "member", "groupaddr": "mail", "groupfilter": "(a=b)", "groupname": "cn"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[name]
    place[last] = value
    return document


def test_a_full_document_is_taken_as_it_is() -> None:
    """A document with every field comes out unchanged."""
    assert LdapConfigSchema().load(GOOD) == GOOD


@pytest.mark.parametrize(
    "path",
    [
        "connection.bindUser",
        "connection.bindPass",
        "users.filter",
        "users.aliases",
        "users.altname",
        "groups",
    ],
)
@pytest.mark.parametrize("nothing", [None, ""])
def test_null_means_absent(path: str, nothing: str | None) -> None:
    """Null and emptied text of an optional field count as not given."""
    if (path, nothing) != ("groups", ""):
        parent, _, name = path.rpartition(".")
        document = LdapConfigSchema().load(changed(path, nothing))
        assert name not in (document[parent] if parent else document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("unknown", 1),
        ("connection.unknown", 1),
        ("users.unknown", 1),
        ("groups.unknown", 1),
        ("disabled", 1),
        ("disabled", "true"),
        ("connection.starttls", "yes"),
        ("connection", []),
        ("connection.server", ""),
        ("connection.server", None),
        ("connection.server", "http://a"),
        ("connection.server", "ldap://"),
        ("connection.server", "ldap://a:0"),
        ("connection.server", "ldap://a:70000"),
        ("connection.server", "ldap://a:x"),
        ("connection.server", "ldap://u:geheim@a"),
        ("connection.server", "ldap://a/dc=x"),
        ("connection.server", "ldap://a bad_host!"),
        ("connection.bindUser", "cn=x\n"),
        ("connection.bindPass", 5),
        ("connection.bindPass", "x" * 1025),
        ("baseDn", ""),
        ("baseDn", None),
        ("objectID", None),
        ("objectID", "a*b"),
        ("users.username", ""),
        ("users.username", "ma il"),
        ("users.filter", "(a=b"),
        ("users.filters", ["(a=b))"]),
        ("users.filters", "(a=b)"),
        ("users.searchAttributes", ["(x)"]),
        ("users.attributes", {"mail": "nosuchproperty"}),
        ("users.attributes", {"mail": None}),
        ("users.attributes", {"ma=il": "title"}),
        ("users.attributes", {"title": "title", "TITLE": "comment"}),
        ("users.attributes", []),
        ("users.templates", ["Novell"]),
        ("users.templates", [["common"]]),
        ("users.defaultQuota", -1),
        ("users.defaultQuota", "5"),
        ("users.defaultQuota", 5.0),
        ("users.defaultQuota", True),
        ("users.defaultQuota", 2**31),
    ],
)
def test_bad_values_are_refused(path: str, value: Any) -> None:
    """A value that breaks a rule is refused, and no message shows a password or Python."""
    with pytest.raises(ValidationError) as caught:
        LdapConfigSchema().load(changed(path, value))
    text = str(caught.value.messages)
    assert "geheim" not in text
    assert "Error" not in text
    assert "xxxxx" not in text


@pytest.mark.parametrize("name", ["connection", "baseDn", "objectID", "users"])
def test_required_fields(name: str) -> None:
    """What a search cannot do without is required."""
    with pytest.raises(ValidationError):
        LdapConfigSchema().load({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize("document", [None, [], "x", 5])
def test_the_document_must_be_an_object(document: Any) -> None:
    """Anything but an object is refused in the ordinary way."""
    with pytest.raises(ValidationError):
        LdapConfigSchema().load(document)


def test_servers_are_tried_in_the_order_given() -> None:
    """A list of servers keeps its order; default ports and ldap:// are filled in."""
    found = server_addresses("ldaps://A.example  b.example:1389 ldap://[::1] ldap://10.0.0.1/")
    assert [(one.url, one.tls) for one in found] == [
        ("ldaps://a.example:636", True),
        ("ldap://b.example:1389", False),
        ("ldap://[::1]:389", False),
        ("ldap://10.0.0.1:389", False),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "objectclass=person",
        "(&(objectclass=person)(mailPrimaryAddress=*))",
        "(& (a=b) (|(c=d*e)(!(f>=1))) )",
        "(!(userAccountControl:1.2.840.113556.1.4.803:=2))",
        r"(cn=\28\2a\29\5c\00)",
        "(cn=Jörg Groß)",
        "(cn:dn:caseExactMatch:=x)",
        "(cn=)",
    ],
)
def test_filters_that_are_good(text: str) -> None:
    """Filters as directories have them are accepted."""
    check_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(",
        ")",
        "()",
        "(a=b",
        "(a=b))",
        "(a=b)(c=d)",
        "(&)",
        "(!(a=b)(c=d))",
        "(a)",
        r"(a=\2)",
        "(a=b\0)",
        "(&(a=b)x)",
        "(!" * 5000 + "(a=b)" + ")" * 5000,
    ],
)
def test_filters_that_are_broken(text: str) -> None:
    """A filter that is not well formed is refused, however deep it is nested."""
    with pytest.raises(ValueError):
        check_filter(text)


def test_every_template_name_has_a_template() -> None:
    """The names the schema accepts are the templates there are, and all their properties exist."""
    assert set(TEMPLATE_NAMES) == set(TEMPLATES)
    for template in TEMPLATES.values():
        assert all(proptags.find(name) for name in template.attributes.values())


def every_field(schema: Schema, prefix: str = "") -> set[str]:
    """The paths of all fields."""
    found = set()
    for name, field in schema.fields.items():
        found |= every_field(field.schema, f"{name}.") if isinstance(field, fields.Nested) else {prefix + name}
    return found


def paths(document: dict[str, Any], schema: Schema, prefix: str = "") -> set[str]:
    """The paths of all that a document has of these fields."""
    found = set()
    for name, value in document.items():
        field = schema.fields[name]
        found |= paths(value, field.schema, f"{name}.") if isinstance(field, fields.Nested) else {prefix + name}
    return found


MINIMAL: dict[str, Any] = {
    "connection": {"server": "localhost"},
    "baseDn": "dc=x",
    "objectID": "uid",
    "users": {"username": "mail"},
}


def test_a_read_has_every_field() -> None:
    """Of the smallest document a read has all that may be put, but the password and a quota that is not set."""
    shown = with_defaults(LdapConfigSchema().load(MINIMAL))
    missing = {"connection.bindPass", "users.defaultQuota"}
    assert paths(shown, LdapConfigSchema()) == every_field(LdapConfigSchema()) - missing
    assert shown["disabled"] is False
    assert shown["enableContacts"] is True


def _names() -> st.SearchStrategy[Any]:
    return st.sampled_from(["cn", "mail", "x-y;lang-de", "1.2.3", "uid"])


def _filters() -> st.SearchStrategy[Any]:
    return st.sampled_from(["(a=b)", "a=b", "(&(a=b)(!(c=*)))"])


def _maybe(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, or what means that there is none."""
    return one | st.sampled_from([None, ""])


def any_document() -> st.SearchStrategy[dict[str, Any]]:
    """Any document that may be put."""
    connection = st.fixed_dictionaries(
        {"server": st.sampled_from(["localhost", "ldap://a ldaps://b:1"])},
        optional={"bindUser": _maybe(st.just("cn=x")), "bindPass": _maybe(st.just("y")), "starttls": st.booleans()},
    )
    users = st.fixed_dictionaries(
        {"username": _names()},
        optional={
            "displayName": _maybe(_names()), "aliases": _maybe(_names()), "altname": _maybe(_names()),
            "filter": _maybe(_filters()), "contactFilter": _maybe(_filters()), "filters": st.lists(_filters()),
            "searchAttributes": st.lists(_names()), "templates": st.lists(st.sampled_from(TEMPLATE_NAMES), max_size=3),
            "attributes": st.dictionaries(_names(), st.sampled_from(["comment", "title", "0x3001001f"])),
            "defaultQuota": st.none() | st.integers(0, 2**31 - 1),
        },
    )  # fmt: skip
    parts = ("groupMemberAttr", "groupaddr", "groupname")
    groups = st.fixed_dictionaries(
        {}, optional={**{name: _maybe(_names()) for name in parts}, "groupfilter": _maybe(_filters())}
    )
    return st.fixed_dictionaries(
        {"connection": connection, "baseDn": st.just("dc=x"), "objectID": _names(), "users": users},
        optional={"disabled": st.booleans(), "enableContacts": st.booleans(), "groups": st.none() | groups},
    )


@given(any_document())
def test_what_is_read_may_be_put_and_means_the_same(document: dict[str, Any]) -> None:
    """What a read shows of whatever was put is taken as it is, shows the same again, and asks the same directory."""
    loaded = LdapConfigSchema().load(document)
    password = loaded["connection"].pop("bindPass", None)
    shown = with_defaults(loaded)
    again = LdapConfigSchema().load(copy.deepcopy(shown))
    assert with_defaults(again) == shown
    for one in (loaded, again):
        one["connection"]["bindPass"] = password
    assert from_document(again) == from_document(loaded)
