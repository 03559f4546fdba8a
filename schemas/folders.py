"""Public folders. Only the root exists."""

from typing import Final

from marshmallow import Schema

from postroom.schemas.fields import QueryInt

#: The ID of the root folder, the same in every domain.
ROOT_FOLDER: Final = 144115188075855873


class FolderTreeQuerySchema(Schema):
    """`folderID`: the folder whose tree to show."""

    folderID = QueryInt(
        load_default=ROOT_FOLDER, metadata={"description": "The folder to begin with; there is only the root"}
    )
