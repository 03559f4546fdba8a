import copy
from typing import Any

import pytest
from marshmallow import ValidationError

from postroom.app.directory.templates import TEMPLATES
from postroom.schemas.ldap import TEMPLATE_NAMES, LdapConfigSchema, check_filter, server_addresses
from postroom.storage import proptags

GOOD: dict[str, Any] = {
    "disabled": False,
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
