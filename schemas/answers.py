"""What goes out. These schemas describe answers and tests hold the answers against them; nothing is dumped by them,
because the hot reads come out of the database as JSON.
"""

from typing import Final

from marshmallow import fields, validate

from postroom.schemas.create_defaults import CreateDefaultsSchema
from postroom.schemas.devices import WIPE_STATUSES, ProtocolVersion
from postroom.schemas.domains import DomainCommonSchema
from postroom.schemas.fields import Bool, Input, Int, Text
from postroom.schemas.ldap import LdapConfigSchema
from postroom.schemas.roles import PermissionSchema, PermissionTarget
from postroom.schemas.sync_policy import SyncPolicySchema
from postroom.schemas.users import (
    LONGEST_ADDRESS,
    STATUSES,
    AltnameSchema,
    FetchmailSchema,
    ForwardSchema,
    PrivilegesSchema,
)

#: Marks what the public description of the API does not have, for whoever generates a client from it.
ADDITION: Final = {"x-postroom": True}


class MessageSchema(Input):
    """A bare success."""

    message = fields.String(required=True)


class ErrorSchema(Input):
    """Every failure: what happened, and `errors` where there are several reasons, each as "field: reason"."""

    message = fields.String(required=True)
    errors = fields.List(fields.String())


class UnauthenticatedSchema(Input):
    """Nobody is logged in, or the login failed."""

    message = fields.String(required=True)
    error = fields.String(required=True)


class InternalErrorSchema(Input):
    """Something that is not the caller's fault; the log has more under the request ID."""

    message = fields.String(required=True)
    requestID = fields.String()


class QueuedSchema(Input):
    """The work goes on; the task tells how far it is."""

    message = fields.String(required=True)
    taskID = Int(required=True)


class SyncItemSchema(Input):
    """What became of one entry of the directory; `changes` is field -> [before, after]."""

    ID = Int()  # of the user, where there is one
    username = fields.String(required=True)
    code = Int(required=True, validate=validate.OneOf([200, 201, 400, 404, 409, 500, 503]))
    message = fields.String(required=True)
    action = fields.String(
        required=True, validate=validate.OneOf(["create", "update", "unchanged", "unlink", "skip"]), metadata=ADDITION
    )
    objectID = fields.String(required=True, metadata=ADDITION)
    changes = fields.Dict(keys=fields.String(), values=fields.List(fields.Raw(allow_none=True)))


class SyncAnswerSchema(Input):
    """What an update of many users did, or (dry run) would do."""

    message = fields.String(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(SyncItemSchema), required=True)


class TaskSchema(Input):
    """Work that may take longer than a request. `params` holds what was asked for, counts, and the result so far."""

    ID = Int(required=True)
    command = fields.String(required=True)
    state = Int(required=True, validate=validate.OneOf(range(6)))
    created = fields.String(required=True)
    updated = fields.String(required=True)
    message = fields.String(required=True)
    params = fields.Dict(keys=fields.String(), required=True)


class TaskListSchema(Input):
    """A page of tasks."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(TaskSchema), required=True)


class TasqStatusSchema(Input):
    """Whether tasks are worked on, and how many wait."""

    running = fields.Boolean(required=True)
    queued = Int(required=True)
    workers = Int(required=True)


class LdapPersonSchema(Input):
    """Somebody who was found in the directory; `error` is why no user can be made of them."""

    ID = fields.String(required=True)
    name = fields.String(required=True)
    email = fields.String(required=True, allow_none=True)
    type = fields.String(required=True, validate=validate.OneOf(["user", "contact"]))
    error = fields.String(required=True, allow_none=True)


class LdapPeopleSchema(Input):
    """Who was found."""

    data = fields.List(fields.Nested(LdapPersonSchema), required=True)


class DumpSchema(Input):
    """An entry of the directory as LDIF text."""

    data = fields.String(required=True)


class UserRefSchema(Input):
    """A user by ID and name."""

    ID = Int(required=True)
    username = fields.String(required=True)


class OrphanSchema(UserRefSchema):
    """A linked user whose object is gone. What is not set is empty text."""

    displayname = fields.String(required=True, metadata=ADDITION)
    status = Int(required=True, validate=validate.OneOf(STATUSES), metadata=ADDITION)
    smtpaddress = fields.String(required=True, metadata=ADDITION)


class OrphansSchema(Input):
    """Linked users whose object is gone."""

    orphaned = fields.List(fields.Nested(OrphanSchema), required=True)


class DeletedOrphansSchema(Input):
    """Those of them who were removed."""

    deleted = fields.List(fields.Nested(UserRefSchema), required=True)


class StatusSchema(Input):
    """The answer of GET /status."""

    message = fields.String(required=True)
    database = fields.Boolean(required=True)
    tasq = fields.Boolean(required=True)


class AboutSchema(Input):
    """The answer of GET /about."""

    API = fields.String(required=True)
    backend = fields.String(required=True)
    schema = Int(required=True, allow_none=True)


class LoginAnswerSchema(Input):
    """The token for the cookie `grommunioAuthJwt`, and what X-Csrf-Token has to be with it."""

    grommunioAuthJwt = fields.String(required=True)
    csrf = fields.String(required=True)


class HomeserverRefSchema(Input):
    """A server by ID and name."""

    ID = Int()
    hostname = fields.String()


class RoleRefSchema(Input):
    """A role by ID and name."""

    ID = Int(required=True)
    name = fields.String(required=True)


class FetchmailEntrySchema(FetchmailSchema):
    """An account elsewhere, without its password."""

    class Meta:
        exclude = ("srcPassword",)


class UserSchema(PrivilegesSchema):
    """A user. Which fields are there depends on the level: 0 has ID and username, 1 four more, 2 all."""

    ID = Int(required=True)
    username = Text(LONGEST_ADDRESS, required=True)
    domainID = Int()  # 0 for the administrator, who is in no domain
    ldapID = fields.String(allow_none=True)
    status = Int(validate=validate.OneOf(STATUSES))
    lang = Text(32)
    aliases = fields.List(fields.String())
    altnames = fields.List(fields.Nested(AltnameSchema))
    fetchmail = fields.List(fields.Nested(FetchmailEntrySchema))
    properties = fields.Dict(keys=fields.String())
    roles = fields.List(fields.Nested(RoleRefSchema))
    forward = fields.Nested(ForwardSchema, allow_none=True)
    mlist = Int(allow_none=True)
    syncPolicy = fields.Nested(SyncPolicySchema, allow_none=True)
    orgID = Int()
    homeserver = fields.Nested(HomeserverRefSchema, allow_none=True)


class UserListSchema(Input):
    """A page of users; `count` is how many match in all."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(UserSchema), required=True)


class ProfileSchema(Input):
    """The caller and what they may do."""

    user = fields.Nested(UserSchema, required=True)
    capabilities = fields.List(fields.String(), required=True)


class DomainSchema(DomainCommonSchema):
    """A mail domain. Which fields are there depends on the level."""

    ID = Int(required=True)
    domainname = Text(64, required=True)
    displayname = fields.String(required=True)
    maxUser = Int()
    activeUsers = Int()
    inactiveUsers = Int()
    virtualUsers = Int()
    homeserver = fields.Nested(HomeserverRefSchema, allow_none=True)


class DomainListSchema(Input):
    """A page of domains; `count` is how many match in all."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(DomainSchema), required=True)


class DomainRefSchema(Input):
    """A domain by ID and names."""

    ID = Int(required=True)
    domainname = fields.String(required=True)
    displayname = fields.String(required=True)


class OrgSchema(Input):
    """An organisation. Which fields are there depends on the level."""

    ID = Int(required=True)
    name = Text(32, required=True)
    description = Text(128, allow_none=True, line=False)
    domainCount = Int()
    domains = fields.List(fields.Nested(DomainRefSchema))


class OrgListSchema(Input):
    """A page of organisations; `count` is how many match in all."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(OrgSchema), required=True)


class SyncPolicyAnswerSchema(Input):
    """An ActiveSync policy as it takes effect."""

    data = fields.Nested(SyncPolicySchema, required=True)


class AddressesSchema(Input):
    """Addresses, in the order in which they were put."""

    data = fields.List(fields.String(), required=True)


class StoreMemberSchema(Input):
    """A user who may open the store. `memberID` is `ID` as text: two generations of clients read one each."""

    ID = Int(required=True, metadata=ADDITION)
    memberID = fields.String(required=True)
    displayName = fields.String(required=True)
    username = fields.String(required=True)


class StoreMembersSchema(Input):
    """The users who may open the store."""

    data = fields.List(fields.Nested(StoreMemberSchema), required=True)


class DeviceSchema(Input):
    """An ActiveSync device. Times are UNIX times, null when there was none; `asversion` is as it was reported."""

    deviceid = fields.String(required=True, metadata=ADDITION)
    devicetype = fields.String(required=True)
    useragent = fields.String(required=True)
    deviceuser = fields.String(required=True, metadata=ADDITION)
    firstsynctime = Int(required=True, allow_none=True)
    lastupdatetime = Int(required=True, allow_none=True)
    lastconnecttime = Int(required=True, allow_none=True, metadata=ADDITION)
    asversion = ProtocolVersion(required=True)
    foldersSyncable = Int(required=True)
    foldersSynced = Int(required=True)
    wipeStatus = Int(required=True, validate=validate.OneOf(WIPE_STATUSES), metadata=ADDITION)


class DeviceListSchema(Input):
    """All devices of a user."""

    data = fields.List(fields.Nested(DeviceSchema), required=True)


class DeviceStatusSchema(Input):
    """The state of a wipe: 0 unknown, 1 none; 2 pending, 4 requested, 8 wiped; 16, 32, 64 the same for the account."""

    status = Int(required=True, validate=validate.OneOf(WIPE_STATUSES))


class DeviceStatusesSchema(Input):
    """States of wipes by device ID."""

    data = fields.Dict(keys=fields.String(), values=fields.Nested(DeviceStatusSchema), required=True)


class DeviceContactSchema(Input):
    """The UNIX time of the last contact, null and 0 when there was none."""

    status = Int(required=True)
    lastconnecttime = Int(required=True, allow_none=True, metadata=ADDITION)


class DeviceContactsSchema(Input):
    """Last contacts by device ID."""

    data = fields.Dict(keys=fields.String(), values=fields.Nested(DeviceContactSchema), required=True)


class DueSchema(DeviceStatusSchema):
    """What is due to a device: whether it has to start over, and the state of its wipe."""

    resync = Bool(required=True)


class DeviceDueSchema(Input):
    """What a device that has been reported is told."""

    data = fields.Nested(DueSchema, required=True)


class UserInformationSchema(Input):
    """Whether a user is linked to a directory."""

    ldap = Bool(required=True)


class LdapConfigAnswerSchema(Input):
    """The configuration of the directory with its defaults, without the bind password; empty when there is none.

    `ldapAvailable`: the server answers at this moment.
    """

    ldapAvailable = fields.Boolean(required=True)
    data = fields.Nested(LdapConfigSchema(partial=True), required=True)


class StorePropsSchema(Input):
    """Properties by name; one that is not there is left out."""

    data = fields.Dict(keys=fields.String(), required=True)


class StorePropsErrorsSchema(MessageSchema):
    """What became of a change, and the reason for each property that was not written."""

    errors = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class RolePermissionSchema(PermissionSchema):
    """A permission of a role: `params` is what it is about."""

    ID = Int(required=True)
    params = PermissionTarget(required=True, allow_none=True, metadata=ADDITION)


class RoleSchema(Input):
    """A role. Which fields are there depends on the level."""

    ID = Int(required=True)
    name = Text(32, required=True)
    description = Text(256, allow_none=True, line=False)
    permissions = fields.List(fields.Nested(RolePermissionSchema))
    users = fields.List(fields.Nested(UserRefSchema))


class RoleListSchema(Input):
    """Roles; `count` is how many match in all."""

    count = Int(required=True, metadata=ADDITION)
    data = fields.List(fields.Nested(RoleSchema), required=True)


class PermissionNamesSchema(Input):
    """Names of permissions."""

    data = fields.List(fields.String(), required=True)


class UserRolesAnswerSchema(Input):
    """The roles of a user."""

    data = fields.List(fields.Nested(RoleRefSchema), required=True)


class UsernameSchema(Input):
    """A user by name."""

    username = fields.String(required=True)


class UsernamesSchema(Input):
    """Usernames, in their order."""

    data = fields.List(fields.Nested(UsernameSchema), required=True)


class CreateDefaultsAnswerSchema(Input):
    """Defaults for new users and new domains; both are always there, empty when nothing is set."""

    data = fields.Nested(CreateDefaultsSchema, required=True)


class StoreLangSchema(Input):
    """A language by its code, and its name in the language itself."""

    code = fields.String(required=True)
    name = fields.String(required=True)


class StoreLangsSchema(Input):
    """Languages, by their codes."""

    data = fields.List(fields.Nested(StoreLangSchema), required=True)


class FormatSchema(Input):
    """For each text that was given, null when it is fine, or else the reason why not."""

    email = fields.String(allow_none=True)
    domain = fields.String(allow_none=True)


class EmptyListSchema(Input):
    """A list of what postroom does not have."""

    count = Int(required=True, validate=validate.Equal(0), metadata=ADDITION)
    data = fields.List(fields.Dict(), required=True, validate=validate.Length(max=0))


class FolderTreeSchema(Input):
    """A public folder and those in it. IDs are text: JavaScript's numbers cannot hold them."""

    folderid = fields.String(required=True)
    name = fields.String(required=True)
    container = fields.String(required=True)
    children = fields.List(fields.Dict(), required=True)


class LicenseSchema(Input):
    """How many users there may be, which is without limit, and how many there are."""

    product = fields.String(required=True, allow_none=True)
    maxUsers = Int(required=True)
    notBefore = fields.String(required=True, allow_none=True)
    notAfter = fields.String(required=True, allow_none=True)
    currentUsers = Int(required=True, allow_none=True)
    certificate = fields.String(required=True, allow_none=True)
