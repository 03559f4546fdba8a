"""What becomes of mail for an address."""

from aiohttp import web

from postroom.app.openapi.decorators import docs, querystring_schema, response_schema
from postroom.app.services import mail_check
from postroom.app.web.keys import QUERY, context_of
from postroom.app.web.responses import json_response
from postroom.schemas.fields import ADDITION
from postroom.schemas.mail import MailCheckQuerySchema
from postroom.schemas.responses.mail import MailCheckSchema


@docs(tags=["Mail"], summary="What becomes of mail for an address", operationId="checkMail", **ADDITION)
@querystring_schema(MailCheckQuerySchema())
@response_schema(MailCheckSchema(), 200, description="Each step, where the mail ends, and who may send as the address")
async def check_mail(request: web.Request) -> web.Response:
    """Explains what a mail server is told, now, about an address and all that it leads to. Sends nothing. What is
    no address is told in the response, too.
    """
    query = request[QUERY]
    found = await mail_check.check(context_of(request), query["address"], query.get("sender"), query.get("login"))
    return json_response(found)
