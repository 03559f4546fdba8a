"""What roles allow, worked out without a service; and the route table's rows."""

import pytest

from postroom.app.auth.permissions import ADMINISTRATOR, CAPABILITIES, PERMISSIONS, Permission, both, covers, grants
from postroom.app.routes import ROUTES
from postroom.app.web.admission import InPerson
from postroom.app.web.guards import domain_read, domain_write, system_read, system_write
from postroom.app.web.routing import public

ORGS = {1: [10, 11]}

#: permission -> what it allows in domain 10: read, write, organise, purge; then system read, system write, reset
TABLE = {
    Permission("SystemAdmin"): (1, 1, 1, 1, 1, 1, 1),
    Permission("SystemAdminRO"): (1, 0, 0, 0, 1, 0, 0),
    Permission("OrgAdmin", org_id=1): (1, 1, 1, 0, 0, 0, 0),
    Permission("OrgAdmin", org_id=2): (0, 0, 0, 0, 0, 0, 0),
    Permission("OrgAdmin", everything=True): (1, 1, 1, 0, 0, 0, 0),
    Permission("DomainAdmin", domain_id=10): (1, 1, 0, 0, 0, 0, 0),
    Permission("DomainAdmin", domain_id=12): (0, 0, 0, 0, 0, 0, 0),
    Permission("DomainAdmin", everything=True): (1, 1, 0, 0, 0, 0, 0),
    Permission("DomainAdminRO", domain_id=10): (1, 0, 0, 0, 0, 0, 0),
    Permission("DomainAdminRO", everything=True): (1, 0, 0, 0, 0, 0, 0),
    Permission("DomainPurge", domain_id=10): (0, 0, 0, 1, 0, 0, 0),
    Permission("DomainPurge", domain_id=11): (0, 0, 0, 0, 0, 0, 0),
    Permission("ResetPasswd"): (0, 0, 0, 0, 0, 0, 1),
    Permission("Unheard"): (0, 0, 0, 0, 0, 0, 0),
    Permission("DomainAdmin"): (0, 0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize(("permission", "expected"), TABLE.items())
def test_each_permission_allows_what_the_table_says(permission: Permission, expected: tuple[int, ...]) -> None:
    """A single permission allows exactly its row of the contract."""
    held = grants([permission], ORGS)
    in_domain = tuple(10 in scope for scope in (held.read, held.write, held.org_admin_domains, held.purge))
    assert (*in_domain, held.system_read, held.system_write, held.reset_passwords) == tuple(map(bool, expected))


def test_every_pair_allows_what_either_does() -> None:
    """Two permissions together allow no less and no more than each alone."""
    for one, first in TABLE.items():
        for other, second in TABLE.items():
            held = grants([one, other], ORGS)
            in_domain = tuple(10 in scope for scope in (held.read, held.write, held.org_admin_domains, held.purge))
            allowed = (*in_domain, held.system_read, held.system_write, held.reset_passwords)
            assert allowed == tuple(bool(a or b) for a, b in zip(first, second, strict=True)), (one, other)


def test_nobody_is_allowed_nothing() -> None:
    """Without permissions there is nothing, not even reading."""
    held = grants([], ORGS)
    assert 10 not in held.read
    assert not held.capabilities


def test_capabilities_are_known_for_every_permission() -> None:
    """The profile can show each permission that a role may hold."""
    assert set(CAPABILITIES) == set(PERMISSIONS)


def test_public_rows_are_these_and_no_others() -> None:
    """Only what has to work without a login does."""
    open_rows = {(route.method, route.path) for route in ROUTES if route.guard is public}
    assert open_rows == {
        ("GET", "/status"),
        ("GET", "/about"),
        ("GET", "/openapi.json"),
        ("POST", "/login"),
        ("POST", "/me/login"),
        ("PUT", "/passwd"),
        # Clients that were generated from the public description send no login here.
        ("GET", "/defaults/storeLangs"),
        ("GET", "/chkFormat"),
        ("GET", "/tasq/status"),
    }


def test_rows_of_a_domains_users_ask_for_that_domain() -> None:
    """Reading needs read, everything else write on the domain in the path; roles are a system administrator's."""
    for route in ROUTES:
        if route.path.endswith("/roles"):
            assert route.guard is (system_read if route.method == "GET" else system_write), route
        elif route.path.startswith("/domains/{domainID}"):
            guard = route.guard.guard if isinstance(route.guard, InPerson) else route.guard
            assert guard is (domain_read if route.method == "GET" else domain_write), route


def test_what_covers_what() -> None:
    """Who may do everything covers everyone; one who may one thing more is not covered."""
    little = grants([Permission("DomainAdminRO", domain_id=1)], {})
    more = grants([Permission("DomainAdmin", domain_id=1), Permission("ResetPasswd")], {})
    assert covers(ADMINISTRATOR, more)
    assert covers(more, little)
    assert covers(little, little)
    assert not covers(little, more)
    assert not covers(more, ADMINISTRATOR)
    assert not covers(more, grants([Permission("OrgAdmin", org_id=1)], {}))


@pytest.mark.parametrize("one", TABLE)
@pytest.mark.parametrize("other", TABLE)
def test_what_two_have_in_common(one: Permission, other: Permission) -> None:
    """It is covered by each, in either order, and holds what both allow; the capabilities tell no more than that."""
    first, second = grants([one], ORGS), grants([other], ORGS)
    shared = both(first, second)
    assert covers(first, shared)
    assert covers(second, shared)
    assert covers(both(second, first), shared)
    for whole in (ADMINISTRATOR, first):
        assert covers(both(first, whole), first)
    for place in (10, 11, 12):
        assert (place in shared.write) == (place in first.write and place in second.write)
        assert (place in shared.read) == (place in first.read and place in second.read)
    assert ("DomainAdminWrite" in shared.capabilities) == bool(shared.write)
    assert ("SystemAdminRead" in shared.capabilities) == shared.system_read
    assert set(shared.capabilities) <= set(first.capabilities)
