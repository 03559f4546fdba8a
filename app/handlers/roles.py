"""Roles: what their holders may do, and who holds them."""

from functools import partial

from aiohttp import web

from postroom.app.auth.permissions import PERMISSIONS
from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import roles
from postroom.app.web.etags import expected
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import of_role
from postroom.app.web.responses import json_document, json_response, message, path_id
from postroom.schemas.pages import LevelQuerySchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.roles import PermissionNamesSchema, RoleListSchema, RoleSchema, UserRolesAnswerSchema
from postroom.schemas.roles import RoleCreateSchema, RoleListQuerySchema, RolePatchSchema, UserRolesSchema
from postroom.storage.roles import select_role, select_roles

TAGS = ["System Admin/Roles"]


@docs(tags=TAGS, summary="The permissions that a role can hold", operationId="getPermissions")
@response_schema(PermissionNamesSchema(), 200, description="The names")
async def list_permissions(_request: web.Request) -> web.Response:
    """The names, in the spelling that a role takes."""
    return json_response({"data": list(PERMISSIONS)})


@docs(tags=TAGS, summary="The roles", operationId="getRoles")
@querystring_schema(RoleListQuerySchema())
@response_schema(RoleListSchema(), 200, description="The roles, and how many match in all")
async def list_roles(request: web.Request) -> web.Response:
    """Lists all of them unless `limit` is given."""
    return json_document(
        await select_roles(context_of(request).database, request[QUERY], caller=request[CALLER].user_id)
    )


@docs(tags=TAGS, summary="Create a role", operationId="postRole")
@json_schema(RoleCreateSchema())
@response_schema(RoleSchema(), 201, description="The new role as it is stored")
async def create_role(request: web.Request) -> web.Response:
    """Creates the role with its permissions and its holders."""
    return json_document(await context_of(request).database.write(roles.create_role, request[BODY]), 201, version=True)


@docs(tags=TAGS, summary="One role", operationId="getRole")
@querystring_schema(LevelQuerySchema())
@response_schema(RoleSchema(), 200, description="The role, as far as `level` asks")
async def get_role(request: web.Request) -> web.Response:
    """Shows the role with its permissions and holders, and has an ETag, unless `level` asks for less."""
    level, caller = request[QUERY].get("level", 2), request[CALLER].user_id
    document = await of_role(request, partial(select_role, level=level, caller=caller))
    return json_document(document, version=level == 2)


@docs(tags=TAGS, summary="Change a role", operationId="patchRole")
@json_schema(RolePatchSchema())
@response_schema(RoleSchema(), 200, description="The role as it is stored now")
async def patch_role(request: web.Request) -> web.Response:
    """Changes the fields that the request names. `permissions` and `users` replace the whole list. The change takes
    effect at once for every holder.
    """
    document = await context_of(request).database.write(
        roles.patch_role, path_id(request, "ID"), request[BODY], expected(request)
    )
    return json_document(document, version=True)


@docs(tags=TAGS, summary="Delete a role", operationId="deleteRole")
@response_schema(MessageSchema(), 200, description="The role is deleted")
async def delete_role(request: web.Request) -> web.Response:
    """Holders lose its permissions at once."""
    role_id = path_id(request, "ID")
    await context_of(request).database.write(roles.delete_role, role_id)
    return message(f"Role {role_id} has been deleted")


@docs(tags=TAGS, summary="Replace the roles of a user", operationId="patchUserRoles")
@json_schema(UserRolesSchema())
@response_schema(UserRolesAnswerSchema(), 200, description="The roles that the user has now")
async def patch_user_roles(request: web.Request) -> web.Response:
    """`roles` is the whole list: the user loses all other roles. If-Match takes the ETag of the user."""
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    return json_document(
        await context_of(request).database.write(
            roles.set_roles_of_user, domain_id, user_id, request[BODY].get("roles"), expected(request)
        )
    )
