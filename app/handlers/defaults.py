"""The default values of new users and domains, and the languages to choose from."""

from aiohttp import web

from postroom.app.errors import ForbiddenError, InvalidError
from postroom.app.openapi.decorators import docs, json_schema, querystring_schema, response_schema
from postroom.app.transactions import create_defaults
from postroom.app.web.keys import BODY, CALLER, QUERY, context_of
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_document, json_response, message, path_id
from postroom.schemas.create_defaults import CreateDefaultsQuerySchema, CreateDefaultsSchema, overlay
from postroom.schemas.responses.common import MessageSchema
from postroom.schemas.responses.defaults import CreateDefaultsAnswerSchema, StoreLangsSchema
from postroom.schemas.values.create_defaults import BUILT_IN, NONE
from postroom.schemas.values.store_langs import store_langs
from postroom.storage.create_defaults import select_defaults

TAGS = ["Defaults"]


@docs(tags=TAGS, summary="What new users and domains start with", operationId="getCreateParams")
@querystring_schema(CreateDefaultsQuerySchema())
@response_schema(CreateDefaultsAnswerSchema(), 200, description="The defaults as they take effect")
async def get_defaults(request: web.Request) -> web.Response:
    """The built-in defaults, overridden by those stored for all domains and, with `domain`, by those of the domain."""
    database = context_of(request).database
    defaults = overlay(BUILT_IN, await select_defaults(database, None) or NONE)
    if "domain" in request[QUERY]:
        domain_id = request[QUERY]["domain"]
        if domain_id not in request[CALLER].grants.read:
            raise ForbiddenError("You do not have the permission for this")
        own = await select_defaults(database, domain_id)
        if own is None:
            raise InvalidError.missing("domain", "domain", domain_id)
        defaults = overlay(defaults, own)
    return json_response({"data": defaults})


@docs(tags=TAGS, summary="Replace the create defaults for all domains", operationId="putCreateParams")
@json_schema(CreateDefaultsSchema())
@response_schema(MessageSchema(), 200, description="The defaults are stored")
async def put_defaults(request: web.Request) -> web.Response:
    """Replaces them as a whole: fields that the request leaves out get their built-in default again."""
    await context_of(request).database.write(create_defaults.put_defaults, None, request[BODY])
    return message("The create defaults have been replaced")


@docs(tags=TAGS, summary="Change the create defaults for all domains", operationId="patchCreateParams")
@json_schema(CreateDefaultsSchema())
@response_schema(MessageSchema(), 200, description="The defaults are stored")
async def patch_defaults(request: web.Request) -> web.Response:
    """Changes the defaults that the request names and leaves the others; null removes one."""
    await context_of(request).database.write(create_defaults.patch_defaults, None, request[BODY])
    return message("The create defaults have been changed")


@docs(tags=TAGS, summary="A domain's own create defaults", operationId="getDomainDefaultParams")
@response_schema(CreateDefaultsAnswerSchema(), 200, description="The domain's own defaults")
async def get_domain_defaults(request: web.Request) -> web.Response:
    """Shows only what differs from the defaults for all domains."""
    return json_response({"data": await of_domain(request, select_defaults)})


@docs(tags=TAGS, summary="Replace a domain's own create defaults", operationId="putDomainDefaultParams")
@json_schema(CreateDefaultsSchema())
@response_schema(MessageSchema(), 200, description="The domain's own defaults are stored")
async def put_domain_defaults(request: web.Request) -> web.Response:
    """Replaces them as a whole: fields that the request leaves out get the default for all domains."""
    domain_id = path_id(request, "domainID")
    await context_of(request).database.write(create_defaults.put_defaults, domain_id, request[BODY])
    return message(f"The create defaults of domain {domain_id} have been replaced")


@docs(tags=TAGS, summary="Change a domain's own create defaults", operationId="patchDomainDefaultParams")
@json_schema(CreateDefaultsSchema())
@response_schema(MessageSchema(), 200, description="The domain's own defaults are stored")
async def patch_domain_defaults(request: web.Request) -> web.Response:
    """Changes the defaults that the request names and leaves the others; null restores the default for all domains."""
    domain_id = path_id(request, "domainID")
    await context_of(request).database.write(create_defaults.patch_defaults, domain_id, request[BODY])
    return message(f"The create defaults of domain {domain_id} have been changed")


@docs(tags=TAGS, summary="The languages that a user can have", operationId="getStoreLangs")
@response_schema(StoreLangsSchema(), 200, description="The languages by their codes")
async def get_store_langs(_request: web.Request) -> web.Response:
    """The values for `lang`, each with the language's own name."""
    return json_document(store_langs())
