"""Access tokens."""

from typing import Annotated, Any

import strawberry

from schema import ids, integrations
from schema.context import Info
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from services import tokens


@strawberry.type
class IntegrationMutations:
    """Access tokens."""

    @mutation("A token for a program, with a part of what its owner may do. Needs a sign-in by password.")
    async def create_access_token(
        root: Any, info: Info, input: Annotated[integrations.CreateAccessTokenInput, ASKED]
    ) -> integrations.CreateAccessTokenPayload:
        made = await tokens.create(
            info.context.house,
            info.context.viewer,
            name=input.name,
            scopes=input.scopes,
            expires_at=given(input.expires_at),
        )
        return integrations.CreateAccessTokenPayload(access_token=made.token, secret=made.secret)  # type: ignore[arg-type]

    @mutation("End an access token, at once.")
    async def revoke_access_token(
        root: Any, info: Info, input: Annotated[integrations.RevokeAccessTokenInput, ASKED]
    ) -> integrations.RevokeAccessTokenPayload:
        token_id = ids.read(input.access_token_id, "AccessToken", path="accessTokenId")
        await tokens.revoke(info.context.house, info.context.viewer, token_id)
        return integrations.RevokeAccessTokenPayload(
            revoked_access_token_id=ids.pack("AccessToken", token_id)
        )
