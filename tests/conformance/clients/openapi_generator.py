"""The life of a user with the client that openapi-generator makes for Python."""

import os

from openapi_client import (
    ApiClient,
    Configuration,
    DeviceAsversion,
    DeviceReport,
    DomainAdminUsersApi,
    DomainCreate,
    Forward,
    IdRef,
    LDAPApi,
    MiscApi,
    NewPassword,
    Oof,
    Permission,
    PermissionParams,
    RoleCreate,
    RolePatch,
    ServiceApi,
    StoreAccessPut,
    SyncPolicy,
    SyncPolicyAnswer,
    SyncPolicyMaxattsize,
    SystemAdminDomainsApi,
    SystemAdminRolesApi,
    User,
    UserCreate,
    UserPatch,
    WipeRequest,
)
from openapi_client.exceptions import BadRequestException, NotFoundException

PASSWORD = os.environ["PASSWORD"]

configuration = Configuration(host=os.environ["API"])
client = ApiClient(configuration)
configuration.access_token = MiscApi(client).post_login(user="admin", var_pass=PASSWORD).grommunio_auth_jwt
users, service, directory = DomainAdminUsersApi(client), ServiceApi(client), LDAPApi(client)

new = DomainCreate(domainname="example.com", max_user=10)
domain = SystemAdminDomainsApi(client).post_domain(new).id
jane = UserCreate(username="jane", password="a good password", smtp=True, properties={"displayname": "Jane"})
user = users.post_user(domain, jane)
assert (user.username, user.smtp, user.forward) == ("jane@example.com", True, None)
assert user.properties["displayname"] == "Jane"
assert users.post_user(domain, UserCreate(username="info", status=4)).status == 4
contact = users.post_user(domain, UserCreate(status=5, properties={"displayname": "Carl"}))
assert contact.username == f"contact-{contact.id}"

place = (domain, user.id)
assert users.get_user(*place) == user
page = users.get_users(domain, match="jane", match_props=["displayname"], level=2, sort=["username,desc"])
assert (page.count, [each.id for each in page.data]) == (1, [user.id])

policy = SyncPolicy(maxattsize=SyncPolicyMaxattsize(1024))
forward = Forward(forward_type=1, destination="jane@example.net")
changed = users.patch_user(*place, UserPatch(forward=forward, lang="de_AT", sync_policy=policy))
assert (changed.forward, changed.lang, changed.smtp) == (forward, "de_AT", True)
assert changed.sync_policy.maxattsize.actual_instance == 1024
cleared = users.patch_user(*place, UserPatch(forward=None))
assert (cleared.forward, cleared.lang) == (None, "de_AT")
# What was read may be sent back.
assert users.patch_user(*place, UserPatch.from_dict(users.get_user(*place).to_dict())).username == user.username

users.put_delegates(*place, ["info@example.com"])
assert users.get_delegates(*place).data == ["info@example.com"]
assert users.patch_store_props(*place, {"title": "Dr", "nosuch": 1}).errors == {"nosuch": "Unknown tag"}
assert users.get_store_props(*place, properties=["title", "displayname"]).data == {"title": "Dr", "displayname": "Jane"}
users.put_store_access_user(*place, StoreAccessPut(usernames=["info@example.com"]))
assert [each.username for each in users.get_store_access_users(*place).data] == ["info@example.com"]
users.delete_store_access_user(*place, "info@example.com")

users.set_oof_size(*place, Oof(state=1, internal_subject="Away"))
oof = users.oof_size_large(*place)
assert (oof.state, oof.internal_subject, oof.start_time) == (1, "Away", None)
policy = users.get_domain_sync_policy(domain).data
assert policy.maxdevpwfailedattempts == 8
assert policy.maxattsize.actual_instance == ""

VERSIONS = {"phone": 16.1, "tablet": "16.1", "watch": 14}
for device_id, version in VERSIONS.items():
    report = DeviceReport(devicetype="Phone", asversion=DeviceAsversion(version))
    service.put_device_report("jane@example.com", device_id, device_report=report)
devices = users.get_synced_devices(*place).data
assert {each.deviceid: each.asversion.actual_instance for each in devices} == VERSIONS
assert [each.firstsynctime for each in devices] == [None] * 3
users.post_device_wipe(*place, "phone", wipe_request=WipeRequest(password=PASSWORD))
assert service.get_user_device_wipe_status("jane@example.com").data["phone"].status == 2
users.cancel_wipe(*place, "phone")

roles = SystemAdminRolesApi(client)
permissions = [
    Permission(permission="DomainAdmin", params=PermissionParams(domain)),
    Permission(permission="OrgAdmin", params=PermissionParams("*")),
    Permission(permission="SystemAdminRO"),
]
role = roles.post_role(RoleCreate(name="Helpers", permissions=permissions, users=[IdRef(user.id)]))
assert [each.params and each.params.actual_instance for each in role.permissions] == [domain, "*", None]
assert [each.username for each in role.users] == ["jane@example.com"]
again = RolePatch.from_dict({"users": [each.to_dict() for each in role.users]})
assert roles.patch_role(role.id, again).users == role.users

(anna,) = directory.search_ldap("anna.schmidt").data
created = directory.import_ldap_user(anna.id)
assert isinstance(created, User)
updated = directory.import_ldap_user(anna.id).actual_instance
assert (updated.id, updated.username) == (created.id, "anna.schmidt@example.com")
assert users.put_downsync(domain, created.id).ldap_id == created.ldap_id

users.set_password(*place, NewPassword(new="a better password"))
try:
    users.patch_user(*place, UserPatch(username="info"))
except BadRequestException as error:
    refused = error.data.message
assert "info@example.com" in refused
assert "has been deleted" in users.delete_user(*place).message
try:
    users.get_user(*place)
except NotFoundException as error:
    missing = error.data.message
assert missing

# What the types say.
assert User.model_fields["forward"].annotation == Forward | None
assert SyncPolicyAnswer.model_fields["data"].annotation is SyncPolicy

# The cookie in place of a Bearer.
configuration.api_key["JWTCookie"] = f"grommunioAuthJwt={configuration.access_token}"
configuration.access_token = None
assert MiscApi(client).get_profile().user.username == "admin"
print("A whole life")
