"""Whether a text could be an address or a domain name, before it is stored anywhere."""

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
    """Answers for each parameter that is given: null when it is fine, otherwise the reason why not."""
    given = request[QUERY]
    answer = {}
    if "email" in given:
        answer["email"] = reason_against_address(given["email"])
    if "domain" in given:
        answer["domain"] = reason_against_domain(given["domain"])
    return json_response(answer)
