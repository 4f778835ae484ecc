"""What integrators use: access tokens, their inputs and payloads."""

from datetime import datetime

import strawberry

from models.access_token import AccessScope
from models.access_token import AccessToken as AccessTokenRow
from schema.context import Context
from schema.nodes import Node, RowType
from schema.payloads import Payload
from schema.sources import column, computed


def _scopes(row: AccessTokenRow, _context: Context) -> list[AccessScope]:
    return [AccessScope(scope) for scope in row.scopes]


@strawberry.type(description="A token that a program shows instead of a password.")
class AccessToken(RowType, Node):
    """A token that a program shows instead of a password."""

    model = AccessTokenRow

    name: str = column("name", "What its owner calls it.")
    scopes: list[AccessScope] = computed(_scopes, "What it may do of what its owner may do.")
    created_at: datetime = column("created_at", "When it was made.")
    expires_at: datetime | None = column("expires_at", "When it ends by itself; null: never.")
    last_used_at: datetime | None = column("last_used_at", "When it was last shown, to the minute.")


@strawberry.input(description="A new access token.")
class CreateAccessTokenInput:
    """A new access token."""

    name: str = strawberry.field(description="What to call it, 1 to 100 characters.")
    scopes: list[AccessScope] = strawberry.field(description="What it may do, at least one.")
    expires_at: datetime | None = strawberry.field(
        description="When it ends by itself; left out: never.", default=strawberry.UNSET
    )


@strawberry.type(description="What createAccessToken answers. secret is shown this once.")
class CreateAccessTokenPayload(Payload):
    """What createAccessToken answers."""

    access_token: AccessToken | None = strawberry.field(
        description="The new token; null on failure.", default=None
    )
    secret: str | None = strawberry.field(
        description="Sent as `Authorization: Bearer …`. Shown this once.", default=None
    )


@strawberry.input(description="The access token to end.")
class RevokeAccessTokenInput:
    """The access token to end."""

    access_token_id: strawberry.ID = strawberry.field(description="Id of one of the viewer's own tokens.")


@strawberry.type(description="What revokeAccessToken answers.")
class RevokeAccessTokenPayload(Payload):
    """What revokeAccessToken answers."""

    revoked_access_token_id: strawberry.ID | None = strawberry.field(
        description="The token that is no more; null on failure.", default=None
    )
