"""Hashes of passwords from elsewhere: exactly those are accepted that a login can check, at a bounded cost."""

import hashlib

import pytest

from postroom.app.auth.given_hashes import check_given_hash
from postroom.app.auth.passwords import verify_hash
from postroom.app.auth.salted_hashes import read_salted_hash
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
    "{CRYPT}$1$saltsalt$kskBPDQQ8fFcIDVNbhsIT1",
    "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    "{MD5}X03MO1qnZdYdgyfeuILPmQ==",
    "{PLAIN}secret",
    "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    "{SSHA}short",
    "{SSHA.ROT13}" + "A" * 40,
    "{SSHA256}IXp7VE5MLktZa8t4NVtEii5mioFbWmgB",
    "{PBKDF2}$1$vI2HPmWe/IJrYVz.$2000001$e9419781d2f9231e68934551ba2bcc2dcea39366",
    "{PBKDF2}$2$vI2HPmWe/IJrYVz.$5000$e9419781d2f9231e68934551ba2bcc2dcea39366",
    "{PBKDF2}$1$vI2HPmWe/IJrYVz.$-5$e9419781d2f9231e68934551ba2bcc2dcea39366",
    "{PBKDF2}$1$vI2HPmWe/IJrYVz.$5000$e941",
    "{PBKDF2-SHA256}5000$salt",
    "{PBKDF2_SHA256}AAAA",
    "{}x",
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


#: What the programs of others made of this password: doveadm pw of Dovecot 2.3.19, slappasswd of OpenLDAP 2.5.13, and
#: the key derivations of OpenSSL 3 in the forms of OpenLDAP's pw-pbkdf2 and of 389 Directory Server.
THEIR_PASSWORD = "grüner Tee 5"
THEIRS = [
    "{SSHA}6PvqO4RV5G4cMl1f9594nAkXNZF2COHp",
    "{SSHA}IXp7VE5MLktZa8t4NVtEii5mioFbWmgB",
    "{SSHA256}Dcktpgzpg3amGty04ejXdIkFljNc6pRad03LexgS7m9cWMKk",
    "{ssha256.HEX}d7a8725b3a373d4475d71547915ed66f2eeae4c6f1385eef8f933bc242701a82e88031fb",
    "{SSHA512}MztkNxBpjtNSW3Z7IwZa8IU1Q0LUZ8DIdvEREUzi+bMHAMQfbCVKxzNm6RCraRNLdrB6X6/LoSbGKEpecll+ydY6qT4=",
    (
        "{SHA512-CRYPT}$6$ZVmRswPObtvon6KG$9HtZJMj4jBo1L1Ag2CwqQpkB3wl4HM8lH3F/TBIw10MXYnt.EOXf/uYTdUTnFecjR3csCeB."
        "TJXeLplCSA2jw/"
    ),
    "{SHA256-CRYPT}$5$.rblAM9SPn9z2KpA$3rm6SO6gI4SlP37h2w/hVp7amI4gM2Vf7OkmLpZkre.",
    "{BLF-CRYPT}$2y$05$IsRfp/BQZeHzz1e3DGsZ.e2RalKdLvZxKXsaWtI3ppOKf6EM1iq6G",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$oEF7UYtMpqxPJD/SILfHlw$YWW3H25Kyp4ye4XSGzOnoGZ8FNgWxIWz9uycqsi4oRg",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$G0F2JkKC+qKQaimBoLrwxg$LBz+7rK10hdYskOgmoWC2+JnHF6g4mqIHq9Q9S6idsM",
    "{CRYPT}$2y$05$Sqj4JSosjPKjIXvRtBjEk.Zj0Ihe040miizbcS/HXkqxdvqzXqVuG",
    "{PBKDF2}$1$vI2HPmWe/IJrYVz.$5000$e9419781d2f9231e68934551ba2bcc2dcea39366",
    "{PBKDF2-SHA1}10000$yMnKy8zNzs/Q0dLT1NXW1w$sxPaEaMD9ivdetaJVmkBvRJCizA",
    "{PBKDF2-SHA256}10000$yMnKy8zNzs/Q0dLT1NXW1w$pIaoxI9fENUUjfVIQRRTCF.mLonb5sUsjgIuJX7cI6c",
    (
        "{PBKDF2-SHA512}10000$yMnKy8zNzs/Q0dLT1NXW1w$aRFSB/dJkTk053vcxD./wvhBnL80Z9UMpxxqvWz3IwtAseXy7QoVlwhPhpu9xS.H"
        "MgFOG1yiAaFX8EmXjZGTNw"
    ),
    (
        "{PBKDF2_SHA256}AAAgAGRlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqO/K"
        "KTu62rRigQIQ5gA0q9qnasHftR5t73+jTeqT8ZrK1SXnlGz0u2VuiIod0nQGxpByFf4BOkumXu3QusTlxC/bXbHeiezpG3XGWElS00FX/enw"
        "KBRUsUvwEpw+/SDM0FVVdg/uoGqx61uC8NAGWms7LbDuYEywGSIVPnhCbAhU1u2oEjIMOPex3sO5BPGJeTzFhrIGyF4fYYkpqra+sIxOfLvJ"
        "X4wYPKUNjfzCEw465S/LaMCHAwJxe2y41jsWvs6bkIg8iE+7p1WY8C+YLEXNyUe2IbH2d+vydsCCnZkS3oRt9aWXJp3tjjoLa5y8G4+8hb+b"
        "NH0ARvLlbjUjOL/"
    ),
]


def test_a_login_computes_one_block() -> None:
    """Whatever a form keeps: 389 Directory Server keeps eight blocks, each of which takes all rounds."""
    found = [read_salted_hash(text) for text in THEIRS]
    assert {len(each.key) <= hashlib.new(each.digest).digest_size for each in found if each is not None} == {True}


@pytest.mark.parametrize("text", THEIRS, ids=lambda text: text[1:].partition("}")[0])
def test_hashes_of_other_programs(text: str) -> None:
    """Each is accepted, and its password verifies; a similar one does not."""
    stored = check_given_hash(text, "passwordHash")
    assert verify_hash(stored, THEIR_PASSWORD)
    assert not verify_hash(stored, THEIR_PASSWORD + " ")
    assert not verify_hash(stored, "")


def test_a_scheme_that_cannot_be_checked_is_named() -> None:
    """The message names the scheme and those that are accepted."""
    with pytest.raises(InvalidError, match=r"\{SCRAM-SHA-256\} is none of .*\{SSHA\}"):
        check_given_hash("{SCRAM-SHA-256}4096,c2FsdA==", "passwordHash")


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
