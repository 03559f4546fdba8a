"""Checks whether a text is a valid address or domain name."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, querystring_schema, response_schema
from postroom.app.web.keys import QUERY
from postroom.app.web.responses import json_response
from postroom.schemas.formats import FormatQuerySchema, reason_against_address, reason_against_domain
from postroom.schemas.responses.defaults import FormatSchema


@docs(tags=["Misc"], summary="Check an address or the name of a domain", operationId="checkFormat")
@querystring_schema(FormatQuerySchema())
@response_schema(FormatSchema(), 200, description="What is wrong with each, if anything")
async def check_format(request: web.Request) -> web.Response:
    """Returns for each given parameter null if it is valid, otherwise the reason."""
    given = request[QUERY]
    reasons = {}
    if "email" in given:
        reasons["email"] = reason_against_address(given["email"])
    if "domain" in given:
        reasons["domain"] = reason_against_domain(given["domain"])
    return json_response(reasons)
