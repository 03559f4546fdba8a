"""Mappings from LDAP attributes to properties for common directories. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """`attributes` is LDAP attribute -> property name. The other fields are usual settings for such a directory."""

    attributes: Mapping[str, str]
    altname: str | None = None
    aliases: str | None = None
    username: str | None = None
    object_id: str | None = None
    filter: str | None = None


_COMMON = {
    "telephoneNumber": "businesstelephonenumber",
    "otherTelephone": "business2telephonenumber",
    "mobile": "mobiletelephonenumber",
    "homePhone": "hometelephonenumber",
    "otherHomePhone": "home2telephonenumber",
    "facsimileTelephoneNumber": "primaryfaxnumber",
    "otherFacsimileTelephoneNumber": "businessfaxnumber",
    "pager": "pagertelephonenumber",
    "description": "comment",
    "physicalDeliveryOfficeName": "officelocation",
    "givenName": "givenname",
    "sn": "surname",
    "l": "locality",
    "title": "title",
    "initials": "initials",
    "preferredLanguage": "language",
    "employeeNumber": "organizationalidnumber",
    "postalAddress": "postaladdress",
    "company": "companyname",
    "co": "country",
    "st": "stateorprovince",
    "streetAddress": "streetaddress",
    "postalCode": "postalcode",
    "postOfficeBox": "postofficebox",
    "assistant": "assistant",
    "wWWHomePage": "businesshomepage",
    "displayName": "displayname",
    "ou": "addressbookorganizationalunitname",
    "mail": "smtpaddress",
}
_WINDOWS = {
    "department": "departmentname",
    **{f"extensionAttribute{number}": f"addressbookextensionattribute{number}" for number in range(1, 16)},
    "mDBOverHardQuotaLimit": "storagequotalimit",
    "mDBOverQuotaLimit": "prohibitsendquota",
    "msExchRecipientDisplayType": "displaytypeex",
}
_UNIX = {"departmentNumber": "departmentname"}

#: Two names of one attribute (RFC 4519, RFC 4524). Asked for one name, a server may answer with the other.
_SYNONYMS = (
    ("c", "countryName"),
    ("cn", "commonName"),
    ("co", "friendlyCountryName"),
    ("facsimileTelephoneNumber", "fax"),
    ("givenName", "gn"),
    ("homePhone", "homeTelephoneNumber"),
    ("l", "localityName"),
    ("mail", "rfc822Mailbox"),
    ("mobile", "mobileTelephoneNumber"),
    ("ou", "organizationalUnitName"),
    ("pager", "pagerTelephoneNumber"),
    ("sn", "surname"),
    ("st", "stateOrProvinceName"),
    ("street", "streetAddress"),
    ("uid", "userid"),
)
#: Attribute in lower case -> its other name.
OTHER_NAME: Mapping[str, str] = {one.lower(): other for pair in _SYNONYMS for one, other in (pair, pair[::-1])}

TEMPLATES: Mapping[str, Template] = {
    "common": Template(_COMMON),
    "ActiveDirectory": Template(
        _WINDOWS,
        altname="sAMAccountName",
        aliases="proxyAddresses",
        username="mail",
        object_id="objectGUID",
        filter="(&(objectCategory=person)(objectClass=user))",
    ),
    "OpenLDAP": Template(
        _UNIX, altname="uid", username="mail", object_id="entryUUID", filter="(objectClass=inetOrgPerson)"
    ),
    "Univention": Template(
        _UNIX,
        altname="uid",
        aliases="mailAlternativeAddress",
        username="mailPrimaryAddress",
        object_id="entryUUID",
        filter="(&(objectClass=person)(mailPrimaryAddress=*))",
    ),
    "389ds": Template(
        {**_UNIX, "c": "country"},
        altname="uid",
        aliases="mailAlternateAddress",
        username="mail",
        object_id="nsUniqueId",
        filter="(objectClass=inetOrgPerson)",
    ),
}
