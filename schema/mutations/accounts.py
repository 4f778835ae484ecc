"""Signing up, in and out; following and blocking."""

from typing import Annotated, Any

import strawberry

from schema import ids, inputs, payloads
from schema.context import Info
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from services import accounts, people


@strawberry.type
class AccountMutations:
    """Signing up, in and out; following."""

    @mutation(
        "A new account, signed in. token is sent as `Authorization: Bearer …`, and over WebSocket as"
        ' connection_init\'s payload {"authorization": "Bearer …"}.'
    )
    async def sign_up(
        root: Any, info: Info, input: Annotated[inputs.SignUpInput, ASKED]
    ) -> payloads.SignUpPayload:
        made = await accounts.sign_up(
            info.context.house,
            info.context.viewer,
            handle=input.handle,
            name=input.name,
            password=input.password,
        )
        return payloads.SignUpPayload(token=made.token, user=made.account, expires_at=made.expires_at)  # type: ignore[arg-type]

    @mutation("A new session for an account.")
    async def sign_in(
        root: Any, info: Info, input: Annotated[inputs.SignInInput, ASKED]
    ) -> payloads.SignInPayload:
        made = await accounts.sign_in(info.context.house, handle=input.handle, password=input.password)
        return payloads.SignInPayload(token=made.token, user=made.account, expires_at=made.expires_at)  # type: ignore[arg-type]

    @mutation("End this session, or every one of the account.")
    async def sign_out(
        root: Any, info: Info, input: Annotated[inputs.SignOutInput, ASKED]
    ) -> payloads.SignOutPayload:
        await accounts.sign_out(info.context.house, info.context.viewer, everywhere=input.everywhere)
        return payloads.SignOutPayload()

    @mutation("Change the profile or the default for recording.")
    async def update_account(
        root: Any, info: Info, input: Annotated[inputs.UpdateAccountInput, ASKED]
    ) -> payloads.UpdateAccountPayload:
        viewer = await accounts.update(
            info.context.house,
            info.context.viewer,
            name=given(input.name),
            bio=given(input.bio),
            records=given(input.records_by_default),
        )
        return payloads.UpdateAccountPayload(viewer=viewer.account)  # type: ignore[arg-type]

    @mutation("See somebody's cards on one's timeline.")
    async def follow(
        root: Any, info: Info, input: Annotated[inputs.FollowInput, ASKED]
    ) -> payloads.FollowPayload:
        user_id = ids.read(input.user_id, "User", path="userId")
        user = await people.follow(info.context.house, info.context.viewer, user_id)
        return payloads.FollowPayload(user=user)  # type: ignore[arg-type]

    @mutation("See somebody's cards no more.")
    async def unfollow(
        root: Any, info: Info, input: Annotated[inputs.UnfollowInput, ASKED]
    ) -> payloads.UnfollowPayload:
        user_id = ids.read(input.user_id, "User", path="userId")
        user = await people.unfollow(info.context.house, info.context.viewer, user_id)
        return payloads.UnfollowPayload(user=user)  # type: ignore[arg-type]

    @mutation(
        "Neither sees the other from now on, and each is out of the other's Spaces. Both follow each other no more."
    )
    async def block(
        root: Any, info: Info, input: Annotated[inputs.BlockInput, ASKED]
    ) -> payloads.BlockPayload:
        user_id = ids.read(input.user_id, "User", path="userId")
        user = await people.block(info.context.house, info.context.viewer, user_id)
        return payloads.BlockPayload(user=user)  # type: ignore[arg-type]

    @mutation("Each may see the other again. What the block has ended stays ended.")
    async def unblock(
        root: Any, info: Info, input: Annotated[inputs.UnblockInput, ASKED]
    ) -> payloads.UnblockPayload:
        user_id = ids.read(input.user_id, "User", path="userId")
        user = await people.unblock(info.context.house, info.context.viewer, user_id)
        return payloads.UnblockPayload(user=user)  # type: ignore[arg-type]
