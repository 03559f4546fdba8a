"""The directory inside a server of a test finds by a filter what OpenLDAP finds."""

import base64
from collections.abc import Iterator

import pytest

from postroom.app.directory.config import from_document
from postroom.app.directory.faults import FaultError
from postroom.app.directory.object_id import filter_escape
from postroom.app.directory.servers import Session
from tests.support.memory_directory import MemorySlapd, Server
from tests.support.slapd import PEOPLE_DN, Slapd, config_document, people_ldif

GUID = bytes.fromhex("5c2a282900ff41")
UUID = "0b9e6e48-9b4a-4f0c-a6b1-3f1d2b7c9d10"

SURNAME = base64.b64encode("  Groß   Straße ".encode()).decode()
#: A ligature, composed and decomposed letters, and letters with several lower cases.
GIVEN_NAME = base64.b64encode("ﬁnÅ\u0041\u030a İǅ Σς".encode()).decode()

ODD = f"""
dn: uid=odd,{PEOPLE_DN}
objectClass: inetOrgPerson
objectClass: mailPerson
objectClass: user
uid: odd
uid: Strange One
cn: Odd * (one) \\
cn;lang-de: Seltsam
sn:: {SURNAME}
givenName:: {GIVEN_NAME}
mail: Odd@Example.com
telephoneNumber: +43 1 555-12 34
mobile: 0664
employeeNumber: 0x10
description: one  two three
description: TRUE
objectGUID:: {base64.b64encode(GUID).decode()}
mDBOverHardQuotaLimit: 1024
assistant: CN=Anna Schmidt, DC=example,DC=com
userPassword: geheim
street: Ring 1
"""

FILTERS = [
    "(objectClass=*)", "(objectClass=person)", "(OBJECTCLASS=INETORGPERSON)", "(objectClass=top)", "(objectClass=user)",
    "(objectClass=organizationalUnit)", "(objectClass=dcObject)", "(!(objectClass=inetOrgPerson))",
    "(!(objectClass=person))", "(objectClass=inet*)", "(&(objectClass=person)(uid=odd))",
    "(&(objectClass=inetOrgPerson)(!(objectClass=user)))",
    "(uid=odd)", "(uid=ODD)", "(uid= odd )", "(uid=strange one)", "(uid=strange  ONE)", "(uid=strangeone)",
    "(userid=odd)", "(uid=*)", "(!(uid=odd))", "(uid=)", "(uid=o*)", "(uid=*d)", "(uid=o*d)", "(uid=*o*d*)",
    "(uid=*d*o*)", "(uid=od*dd)", "(uid=odd*odd)", "(uid=**)", "(uid=*strange* one)", "(uid=strange *)",
    "(uid=strange*one)", "(uid=* one)", "(uid=*e o*)", "(uid=*e  o*)",
    "(cn=seltsam)", "(cn;lang-de=seltsam)", "(cn;lang-de=odd*)", "(cn;lang-fr=seltsam)", "(cn=*\\2a*)",
    "(cn=*\\28one*)",     "(cn=odd \\2a \\28one\\29 \\5c)", "(commonName=anna schmidt)",
    "(sn=groß straße)", "(sn=GROSS STRASSE)", "(sn=GROSS*)", "(sn=groß  straße)", "(sn=*ß*)", "(sn=*ss*)",
    "(surname=schmidt)", "(sn= groß*)", "(sn=*straße )",
    "(givenName=finÅÅ i̇ǆ σσ)", "(givenName=fin*)", "(givenName=*åå*)", "(givenName=*ǆ*)", "(givenName=*dž*)",
    "(givenName=*σς*)", "(givenName=*ΣΣ*)", "(givenName=JÜRGEN)", "(givenName=ju\u0308rgen)", "(givenName=juergen)",
    "(mail=odd@example.com)", "(mail=ODD@EXAMPLE.COM)", "(mail=*@EXAMPLE*)", "(mail=ödd@example.com)",
    "(!(mail=ödd@example.com))",
    "(telephoneNumber=+4315551234)", "(telephoneNumber=+43 1 555 1234)", "(telephoneNumber=*5551234)",
    "(telephoneNumber=*55-5*)", "(mobile=0 6 6 4)", "(employeeNumber=0X10)", "(employeeNumber=16)",
    "(description=one two three)", "(description=true)", "(description=*two*)",
    f"(objectGUID={filter_escape(GUID)})", f"(objectGUID={filter_escape(GUID.lower())})", "(objectGUID=*)",
    "(!(objectGUID=x))", "(objectGUID=*a*)", "(!(objectGUID=*a*))",
    "(mDBOverHardQuotaLimit=1024)", "(mDBOverHardQuotaLimit=01024)", "(mDBOverHardQuotaLimit=x)",
    "(!(mDBOverHardQuotaLimit=x))", "(!(mDBOverHardQuotaLimit=7))", "(mDBOverHardQuotaLimit=10*)",
    "(assistant=cn=anna schmidt,dc=example,dc=com)", "(assistant=cn=anna\\20schmidt,dc=example,dc=com)",
    "(assistant=cn=bert,dc=example,dc=com)", "(assistant=nonsense)", "(!(assistant=nonsense))", "(assistant=*anna*)",
    "(userPassword=*)", "(userPassword=geheim)", "(!(userPassword=*))", "(!(userPassword=x))",
    "(street=ring 1)", "(streetAddress=RING 1)", "(l=köln)", "(localityName=KÖLN)", "(title=*)", "(!(title=*))",
    "(|(uid=odd)(uid=anna.schmidt))", "(&(uid=*)(mail=*)(title=*))", "(|(userPassword=x)(uid=odd))",
    "(&(!(userPassword=x))(uid=odd))", "(&(userPassword=x)(uid=odd))", "(!(|(uid=odd)(userPassword=x)))",
    "(!(&(uid=nobody)(userPassword=x)))", "(!(!(uid=odd)))", "(cn>=a)", "(!(cn>=a))", "(entryUUID=nonsense)",
    "(!(entryUUID=nonsense))", "(!(entryUUID=0b9e6e48-9b4a-4f0c-a6b1-3f1d2b7c9d10))",
    "(cn=\\ff)", "(!(cn=\\ff))", "(cn=*\\ff*)", "( uid=odd )", "(& (uid=odd) (sn=*) )",
    "(dc=example)", "(ou=people)", "(ou=PEOPLE)",
]  # fmt: skip


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Server]]:
    """A real server and the other one, with the same people."""
    with Slapd() as real, MemorySlapd() as other:
        for server in (real, other):
            server.add(people_ldif(13))
            server.add(ODD)
        yield [real, other]


async def session(server: Server) -> Session:
    """A connection of the bind user: of somebody in the directory, because the rules do not hold for slapd's root."""
    config = from_document(config_document(server))
    return await server.open(config.servers[0], None, f"uid=odd,{PEOPLE_DN}", "geheim")


@pytest.mark.slapd
async def test_both_find_the_same(servers: list[Server]) -> None:
    """Whatever the filter, also where comparing makes no sense."""
    different = []
    for text in FILTERS:
        found = [await found_by(server, text) for server in servers]
        if found[0] != found[1]:
            different.append((text, *found))
    assert different == []


async def found_by(server: Server, text: str) -> list[str]:
    """The first part of the DNs of what a filter finds; or why it finds nothing."""
    opened = await session(server)
    try:
        return sorted(
            entry.dn.partition(",")[0] for entry in await opened.search("dc=example,dc=com", text, ["uid"], 0)
        )
    except FaultError as error:
        return [str(error)]
    finally:
        opened.close()
