"""Public folders, of which there are none but their root."""

from typing import Final

from marshmallow import Schema

from postroom.schemas.fields import QueryInt

#: The ID that the root has in every domain.
ROOT_FOLDER: Final = 144115188075855873


class FolderTreeQuerySchema(Schema):
    """`folderID`: the folder from which the tree is shown."""

    folderID = QueryInt(
        load_default=ROOT_FOLDER, metadata={"description": "The folder to begin with; there is only the root"}
    )
