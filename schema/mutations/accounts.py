"""Signing up, in and out; following and blocking."""

from typing import Annotated, Any

import strawberry

from schema import ids, inputs, payloads
from schema.context import Info
from schema.links import media_link
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from services import accounts, exports, farewell, people


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

    @mutation("Change the password. Ends every other session.")
    async def change_password(
        root: Any, info: Info, input: Annotated[inputs.ChangePasswordInput, ASKED]
    ) -> payloads.ChangePasswordPayload:
        await accounts.change_password(
            info.context.house,
            info.context.viewer,
            current=input.current_password,
            new=input.new_password,
        )
        return payloads.ChangePasswordPayload()

    @mutation("Everything that is kept about the viewer, as a zip of JSON files behind a link for an hour.")
    async def export_account(
        root: Any, info: Info, input: Annotated[inputs.ExportAccountInput, ASKED]
    ) -> payloads.ExportAccountPayload:
        house = info.context.house
        link = exports.export_link(house, info.context.viewer, with_recordings=input.include_recordings)
        return payloads.ExportAccountPayload(archive=media_link(house, link))

    @mutation(
        "Delete the account, for good: nameless and signed out at once; its Spaces end, its recordings go by the"
        " two clocks, and what it was part of stays readable."
    )
    async def delete_account(
        root: Any, info: Info, input: Annotated[inputs.DeleteAccountInput, ASKED]
    ) -> payloads.DeleteAccountPayload:
        await farewell.delete_account(info.context.house, info.context.viewer, password=input.password)
        return payloads.DeleteAccountPayload()

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
