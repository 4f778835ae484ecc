"""The interface of everything that has an id, and what every type over a row shares."""

from typing import Any, ClassVar

import strawberry
from graphql import GraphQLResolveInfo
from tortoise.models import Model

from schema import ids
from schema.sources import SOURCE, Identity


def _global_id(root: Any, info: strawberry.Info) -> strawberry.ID:
    return ids.pack(info._raw_info.parent_type.name, root.id)


@strawberry.interface(description="Everything that can be asked for by its id.")
class Node:
    """Everything that can be asked for by its id."""

    id: strawberry.ID = strawberry.field(
        resolver=_global_id, description="Global and opaque.", metadata={SOURCE: Identity()}
    )


class RowType:
    """Mixed into types whose objects are rows of one table."""

    model: ClassVar[type[Model]]

    @classmethod
    def is_type_of(cls, obj: Any, _info: GraphQLResolveInfo[Any]) -> bool:
        """Whether a row is one of this type."""
        return isinstance(obj, cls.model)
