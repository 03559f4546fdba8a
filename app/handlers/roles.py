"""Roles: what their holders may do, and who holds them."""

from functools import partial

from aiohttp import web

from postroom.app.auth.permissions import PERMISSIONS
from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import roles
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import of_role
from postroom.app.web.responses import json_answer, json_document, message, path_id
from postroom.schemas.pages import LevelQuerySchema
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.roles import PermissionNamesSchema, RoleListSchema, RoleSchema, UserRolesAnswerSchema
from postroom.schemas.roles import RoleCreateSchema, RoleListQuerySchema, RolePatchSchema, UserRolesSchema
from postroom.storage.roles import select_role, select_roles

TAGS = ["System Admin/Roles"]


@docs(tags=TAGS, summary="Get list of available permissions", operationId="getPermissions")
@response_schema(PermissionNamesSchema(), 200, description="List with permissions returned")
async def list_permissions(_request: web.Request) -> web.Response:
    """The names of the permissions that a role may hold."""
    return json_answer({"data": list(PERMISSIONS)})


@docs(tags=TAGS, summary="Get list of available roles", operationId="getRoles")
@querystring_schema(RoleListQuerySchema())
@response_schema(RoleListSchema(), 200, description="List of roles returned")
async def list_roles(request: web.Request) -> web.Response:
    """The roles, all of them unless a limit is given."""
    return json_document(
        await select_roles(context_of(request).database, request[QUERY], caller=request[CALLER].user_id)
    )


@docs(tags=TAGS, summary="Create a new role", operationId="postRole")
@json_schema(RoleCreateSchema())
@response_schema(RoleSchema(), 201, description="Role created")
async def create_role(request: web.Request) -> web.Response:
    """Creates a role, with its permissions and its holders."""
    return json_document(await context_of(request).database.write(roles.create_role, request[BODY]), 201)


@docs(tags=TAGS, summary="Get role", operationId="getRole")
@querystring_schema(LevelQuerySchema())
@response_schema(RoleSchema(), 200, description="Role returned")
async def get_role(request: web.Request) -> web.Response:
    """One role with its permissions and holders."""
    level, caller = request[QUERY].get("level", 2), request[CALLER].user_id
    return json_document(await of_role(request, partial(select_role, level=level, caller=caller)))


@docs(tags=TAGS, summary="Update a role", operationId="patchRole")
@json_schema(RolePatchSchema())
@response_schema(RoleSchema(), 200, description="Role updated")
async def patch_role(request: web.Request) -> web.Response:
    """Changes the fields given; `permissions` and `users` replace the lists. It counts at once, for every holder."""
    return json_document(
        await context_of(request).database.write(roles.patch_role, path_id(request, "ID"), request[BODY])
    )


@docs(tags=TAGS, summary="Delete role", operationId="deleteRole")
@response_schema(MessageSchema(), 200, description="Role deleted")
async def delete_role(request: web.Request) -> web.Response:
    """Removes a role; whoever held it has what it allowed no more, at once."""
    role_id = path_id(request, "ID")
    await context_of(request).database.write(roles.delete_role, role_id)
    return message(f"Role {role_id} has been deleted")


@docs(tags=TAGS, summary="Update user roles", operationId="patchUserRoles")
@json_schema(UserRolesSchema())
@response_schema(UserRolesAnswerSchema(), 200, description="Role association updated")
async def patch_user_roles(request: web.Request) -> web.Response:
    """Replaces the roles of a user of the domain; answers those they have."""
    domain_id, user_id = path_id(request, "domainID"), path_id(request, "userID")
    return json_document(
        await context_of(request).database.write(
            roles.set_roles_of_user, domain_id, user_id, request[BODY].get("roles")
        )
    )
