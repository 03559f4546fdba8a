"""Hashes of passwords from elsewhere: exactly those are accepted that a login can check, at a bounded cost."""

import pytest

from postroom.app.auth.given_hashes import check_given_hash
from postroom.app.errors import InvalidError
from tests.support.bulk import bulk
from tests.support.service import USER_PASSWORD, Api, Service

#: Hashes of USER_PASSWORD in each format.
HASHES = {
    "argon2id": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$In49yvrionNMuCXfqvwf5w",
    "bcrypt": "$2b$04$abcdefghijklmnopqrstuuxy6F4LKWn51Ut1QCHZSIp5SeusgsIWa",
    "bcrypt of PHP": "$2y$04$abcdefghijklmnopqrstuuxy6F4LKWn51Ut1QCHZSIp5SeusgsIWa",
    "old bcrypt": "$2a$04$abcdefghijklmnopqrstuuxy6F4LKWn51Ut1QCHZSIp5SeusgsIWa",
    "SHA-256": "$5$rounds=1000$saltsalt$AY8fo8p1RpzQSoCRndGqi26770uuuZbUTyJjtXnaa/3",
    "yescrypt": "$y$j75$saltsaltsaltsalt$OqC5yT8tLB2dFjbzWne3DfOXHYHIm1BNt7mYFDjG4hD",
}

_KEY = "c2FsdHNhbHQ$WEGRtbYqPYh1hvcLRMFAwA"
_SHA512 = "A" * 86
REFUSED = [
    "",
    "secret",
    "{CRYPT}" + HASHES["SHA-256"],
    "$1$saltsalt$kskBPDQQ8fFcIDVNbhsIT1",
    "$2b$04$abcdefghijklmnopqrstuu",
    "$2b$15$abcdefghijklmnopqrstuuxy6F4LKWn51Ut1QCHZSIp5SeusgsIWa",
    "$2b$31$abcdefghijklmnopqrstuuxy6F4LKWn51Ut1QCHZSIp5SeusgsIWa",
    "$2b$00$abcdefghijklmnopqrstuuxy6F4LKWn51Ut1QCHZSIp5SeusgsIWa",
    "$5$rounds=1000001$saltsalt$AY8fo8p1RpzQSoCRndGqi26770uuuZbUTyJjtXnaa/3",
    "$5$saltsalt$AY8fo8p1",
    f"$6$rounds=999999999$salt${_SHA512}",
    f"$6$salt${_SHA512}\n",
    f"$6$sal:t${_SHA512}",
    f"$argon2id$v=19$m=4194304,t=1,p=1${_KEY}",
    f"$argon2id$v=19$m=65536,t=1000,p=1${_KEY}",
    f"$argon2id$v=19$m=65536,t=1,p=200${_KEY}",
    f"$argon2id$v=19$m=8,t=1,p=2${_KEY}",
    f"$argon2id$v=19$m=0,t=1,p=1${_KEY}",
    f"$argon2x$v=19$m=8,t=1,p=1${_KEY}",
    "$argon2id$v=19$m=8,t=1,p=1$$",
    "$y$jFT$saltsaltsaltsalt$OqC5yT8tLB2dFjbzWne3DfOXHYHIm1BNt7mYFDjG4hD",
    "$y$j9T$saltsaltsaltsalt$",
    "$7$saltsaltsaltsalt",
]


@pytest.mark.parametrize("name", HASHES)
async def test_accepted(service: Service, admin: Api, domain: int, name: str) -> None:
    """A user with a given hash logs in with its password, and with no other."""
    line = {"create": {"username": "jane", "passwordHash": HASHES[name]}}
    assert (await bulk(admin, domain, [line])).statuses == [201]
    change = {"user": "jane@example.org", "old": "another", "new": "a new password"}
    await service.api.refused(401, "PUT", "/passwd", change)
    await service.api.put("/passwd", {**change, "old": USER_PASSWORD})


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_refused(text: str) -> None:
    """Unknown formats, broken hashes and excessive costs are refused; the error does not repeat the hash."""
    with pytest.raises(InvalidError) as caught:
        check_given_hash(text, "passwordHash")
    assert caught.value.message.startswith("Invalid input: passwordHash: ")
    assert not text or text not in caught.value.message


def test_usual_costs_are_accepted() -> None:
    """What the usual programs make by default is accepted."""
    for text in (
        f"$argon2id$v=19$m=65536,t=3,p=4${_KEY}",
        f"$argon2i$v=19$m=102400,t=2,p=8${_KEY}",
        "$2b$12$abcdefghijklmnopqrstuuxy6F4LKWn51Ut1QCHZSIp5SeusgsIWa",
        f"$6$saltsalt${_SHA512}",
        f"$6$rounds=656000$saltsalt${_SHA512}",
        "$y$j9T$saltsaltsaltsalt$OqC5yT8tLB2dFjbzWne3DfOXHYHIm1BNt7mYFDjG4hD",
    ):
        assert check_given_hash(text, "passwordHash") == text


async def test_who_may_give_one(service: Service, admin: Api) -> None:
    """Administrators of the domain's organisation may give a hash; an administrator of the domain may not."""
    org = (await admin.post("/system/orgs", {"name": "House"}))["ID"]
    domain = await admin.make_domain("house.example", orgID=org)
    line = {"create": {"username": "jane", "passwordHash": HASHES["bcrypt"]}}
    of_domain = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="one")
    answer = await bulk(of_domain, domain, [line])
    assert answer.statuses == [403]
    assert answer.results[0]["message"] == "Only administrators of the organisation may give the hash of a password"
    of_org = await service.login_with(domain, ("OrgAdmin", {"org_id": org}), name="other")
    assert (await bulk(of_org, domain, [line])).statuses == [201]


@pytest.mark.parametrize(
    "fields",
    [
        {"password": USER_PASSWORD, "passwordHash": HASHES["bcrypt"]},
        {"passwordHash": "secret"},
        {"passwordHash": ""},
        {"passwordHash": None},
        {"passwordHash": 1},
        {"passwordHash": "$6$" + "x" * 600},
    ],
)
async def test_lines_with_a_wrong_hash(admin: Api, domain: int, fields: dict[str, object]) -> None:
    """A line with a password and a hash, or with a hash that is none, is refused by the field."""
    answer = await bulk(admin, domain, [{"create": {"username": "jane", **fields}}])
    assert answer.statuses == [400]
    assert "passwordHash: " in answer.results[0]["message"]


async def test_hash_only_in_lines(admin: Api, domain: int) -> None:
    """The single operations, and lines that change a user, take no hash."""
    body = {"username": "jane", "passwordHash": HASHES["bcrypt"]}
    await admin.refused(400, "POST", f"/domains/{domain}/users", body)
    await admin.make_user(domain, "jane")
    answer = await bulk(admin, domain, [{"patch": {"ID": 1, "passwordHash": HASHES["bcrypt"]}}])
    assert answer.results[0]["errors"] == ["passwordHash: Unknown field."]
