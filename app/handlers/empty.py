"""Empty lists of objects that clients ask for and postroom does not have: servers, mailing lists, public folders."""

from functools import partial

from aiohttp import web

from postroom.app.errors import NotFoundError
from postroom.app.openapi.decorators import docs, querystring_schema, response_schema
from postroom.app.web.keys import QUERY
from postroom.app.web.lookups import of_domain
from postroom.app.web.responses import json_response
from postroom.schemas.folders import ROOT_FOLDER, FolderTreeQuerySchema
from postroom.schemas.pages import PageQuerySchema
from postroom.schemas.responses.common import EmptyListSchema
from postroom.schemas.responses.domains import FolderTreeSchema
from postroom.storage.domains import select_domain

_EMPTY = {"count": 0, "data": []}


@docs(tags=["System Admin/Servers"], summary="Other servers: there are none", operationId="getServers")
@querystring_schema(PageQuerySchema())
@response_schema(EmptyListSchema(), 200, description="An empty list")
async def list_servers(_request: web.Request) -> web.Response:
    """Always empty: there is no server besides this one."""
    return json_response(_EMPTY)


@docs(tags=["Domain Admin/MLists"], summary="Mailing lists of a domain: there are none", operationId="getMlists")
@querystring_schema(PageQuerySchema())
@response_schema(EmptyListSchema(), 200, description="An empty list")
async def list_mlists(request: web.Request) -> web.Response:
    """Always empty: postroom has no mailing lists."""
    return await _empty_of_domain(request)


@docs(tags=["Domain Admin/Folders"], summary="Public folders of a domain: there are none", operationId="getFolders")
@querystring_schema(PageQuerySchema())
@response_schema(EmptyListSchema(), 200, description="An empty list")
async def list_folders(request: web.Request) -> web.Response:
    """Always empty: postroom has no public folders."""
    return await _empty_of_domain(request)


@docs(tags=["Domain Admin/Folders"], summary="The tree of public folders: only its root", operationId="getFolderTree")
@querystring_schema(FolderTreeQuerySchema())
@response_schema(FolderTreeSchema(), 200, description="The root")
async def get_folder_tree(request: web.Request) -> web.Response:
    """The root has no folders in it."""
    await _check_domain(request)
    folder_id = request[QUERY]["folderID"]
    if folder_id != ROOT_FOLDER:
        raise NotFoundError.of("public folder", folder_id)
    return json_response({"folderid": str(ROOT_FOLDER), "name": "IPM_SUBTREE", "container": "IPF.Note", "children": []})


async def _empty_of_domain(request: web.Request) -> web.Response:
    await _check_domain(request)
    return json_response(_EMPTY)


async def _check_domain(request: web.Request) -> None:
    await of_domain(request, partial(select_domain, level=0))
