"""Spaces and being in them."""

from typing import Annotated, Any

import strawberry

from models.participant import ParticipantRole
from schema import ids, inputs, payloads
from schema.context import Info
from schema.links import media_link
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from schema.tickets import TicketingInput
from services import endings, invitations, participation, playback, reminders, roles, spaces
from services.spaces import NewSpace, SpaceEdit
from services.tickets import NewTicketing

_EDITABLE = (
    "title",
    "description",
    "language",
    "topics",
    "scheduled_start",
    "speaker_policy",
    "clips_allowed",
)


def _ticketing(asked: TicketingInput | None) -> NewTicketing | None:
    if asked is None:
        return None
    return NewTicketing(price_minor=asked.price_minor, currency=asked.currency, capacity=asked.capacity)


@strawberry.type
class SpaceMutations:
    """Spaces and being in them."""

    @mutation("A new Space with its card on the host's timeline.")
    async def create_space(
        root: Any, info: Info, input: Annotated[inputs.CreateSpaceInput, ASKED]
    ) -> payloads.CreateSpacePayload:
        wish = NewSpace(
            title=input.title,
            description=given(input.description),
            language=given(input.language),
            topics=tuple(input.topics),
            scheduled_start=given(input.scheduled_start),
            record=given(input.record),
            platform=input.platform,
            speaker_policy=input.speaker_policy,
            ticketing=_ticketing(given(input.ticketing)),
            cohost_handles=tuple(input.cohost_handles),
        )
        space = await spaces.create(info.context.house, info.context.viewer, wish)
        return payloads.CreateSpacePayload(space=space)  # type: ignore[arg-type]

    @mutation("Change a Space. scheduledStart changes before launch only.")
    async def update_space(
        root: Any, info: Info, input: Annotated[inputs.UpdateSpaceInput, ASKED]
    ) -> payloads.UpdateSpacePayload:
        asked = {name: getattr(input, name) for name in _EDITABLE}
        edit = SpaceEdit(
            changes={name: value for name, value in asked.items() if value is not strawberry.UNSET}
        )
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        space = await spaces.update(info.context.house, info.context.viewer, space_id, edit)
        return payloads.UpdateSpacePayload(space=space)  # type: ignore[arg-type]

    @mutation("Set 'Record Space', before launch alone.")
    async def toggle_recording(
        root: Any, info: Info, input: Annotated[inputs.ToggleRecordingInput, ASKED]
    ) -> payloads.ToggleRecordingPayload:
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        space = await spaces.toggle_recording(
            info.context.house,
            info.context.viewer,
            space_id,
            enabled=input.enabled,
            platform=input.platform,
        )
        return payloads.ToggleRecordingPayload(space=space)  # type: ignore[arg-type]

    @mutation(
        "Launches. The host is in it at once; joinSpace, which may be called again and again, answers where to"
        " publish and listen."
    )
    async def start_space(
        root: Any, info: Info, input: Annotated[inputs.StartSpaceInput, ASKED]
    ) -> payloads.StartSpacePayload:
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        space = await spaces.start(info.context.house, info.context.viewer, space_id, platform=input.platform)
        return payloads.StartSpacePayload(space=space)  # type: ignore[arg-type]

    @mutation("End a live Space, by its host or a moderator. Its recording can be played when this answers.")
    async def end_space(
        root: Any, info: Info, input: Annotated[inputs.EndSpaceInput, ASKED]
    ) -> payloads.EndSpacePayload:
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        space = await endings.end(info.context.house, info.context.viewer, space_id)
        return payloads.EndSpacePayload(space=space)  # type: ignore[arg-type]

    @mutation("Call a Space off before launch.")
    async def cancel_space(
        root: Any, info: Info, input: Annotated[inputs.CancelSpaceInput, ASKED]
    ) -> payloads.CancelSpacePayload:
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        space = await spaces.cancel(info.context.house, info.context.viewer, space_id)
        return payloads.CancelSpacePayload(space=space)  # type: ignore[arg-type]

    @mutation("Enter a live Space. Joining again is the same participation and writes no event.")
    async def join_space(
        root: Any, info: Info, input: Annotated[inputs.JoinSpaceInput, ASKED]
    ) -> payloads.JoinSpacePayload:
        context = info.context
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        joined = await participation.join(context.house, context.viewer, space_id, platform=input.platform)
        return payloads.JoinSpacePayload(
            participant=joined.participant,  # type: ignore[arg-type]
            space=joined.space,  # type: ignore[arg-type]
            whip_url=joined.whip_url,
            whep_url=joined.whep_url,
            media_token=joined.media_token,
            live=media_link(
                context.house, playback.live_link(context.house, joined.space, context.viewer, context.now)
            ),
        )

    @mutation("Go out of a Space. A host who leaves has 60 s to come back.")
    async def leave_space(
        root: Any, info: Info, input: Annotated[inputs.LeaveSpaceInput, ASKED]
    ) -> payloads.LeaveSpacePayload:
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        space = await participation.leave(info.context.house, info.context.viewer, space_id)
        return payloads.LeaveSpacePayload(space=space)  # type: ignore[arg-type]

    @mutation("Say that one was told that the Space is recorded; needed before a speaker's first packet.")
    async def acknowledge_recording(
        root: Any, info: Info, input: Annotated[inputs.AcknowledgeRecordingInput, ASKED]
    ) -> payloads.AcknowledgeRecordingPayload:
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        participant = await participation.acknowledge(
            info.context.house, info.context.viewer, space_id, version=input.consent_version
        )
        return payloads.AcknowledgeRecordingPayload(participant=participant)  # type: ignore[arg-type]

    @mutation("Ask to speak, or take it back.")
    async def raise_hand(
        root: Any, info: Info, input: Annotated[inputs.RaiseHandInput, ASKED]
    ) -> payloads.RaiseHandPayload:
        space_id = ids.read(input.space_id, "Space", path="spaceId")
        participant = await participation.raise_hand(
            info.context.house, info.context.viewer, space_id, raised=input.raised
        )
        return payloads.RaiseHandPayload(participant=participant)  # type: ignore[arg-type]

    @mutation("Make a raised hand a speaker, or send a speaker or co-host back to listening.")
    async def set_participant_role(
        root: Any, info: Info, input: Annotated[inputs.SetParticipantRoleInput, ASKED]
    ) -> payloads.SetParticipantRolePayload:
        participant = await roles.set_role(
            info.context.house,
            info.context.viewer,
            ids.read(input.space_id, "Space", path="spaceId"),
            ids.read(input.user_id, "User", path="userId"),
            ParticipantRole(input.role.name),
        )
        return payloads.SetParticipantRolePayload(participant=participant)  # type: ignore[arg-type]

    @mutation("Turn a microphone off, or one's own on again. Takes effect on the server, at once.")
    async def set_muted(
        root: Any, info: Info, input: Annotated[inputs.SetMutedInput, ASKED]
    ) -> payloads.SetMutedPayload:
        participant = await roles.set_muted(
            info.context.house,
            info.context.viewer,
            ids.read(input.space_id, "Space", path="spaceId"),
            ids.read(input.user_id, "User", path="userId"),
            muted=input.muted,
        )
        return payloads.SetMutedPayload(participant=participant)  # type: ignore[arg-type]

    @mutation(
        "Be told 10 minutes before a Space starts and when it is launched, or no more. Asking twice is once."
    )
    async def set_reminder(
        root: Any, info: Info, input: Annotated[inputs.SetReminderInput, ASKED]
    ) -> payloads.SetReminderPayload:
        space = await reminders.set_reminder(
            info.context.house,
            info.context.viewer,
            ids.read(input.space_id, "Space", path="spaceId"),
            enabled=input.enabled,
        )
        return payloads.SetReminderPayload(space=space)  # type: ignore[arg-type]

    @mutation(
        "Ask somebody to be co-host (by the host, before launch too) or speaker (by co-hosts too). They must accept."
        " Asking again while it is open is the same invitation."
    )
    async def invite(
        root: Any, info: Info, input: Annotated[inputs.InviteInput, ASKED]
    ) -> payloads.InvitePayload:
        invitation = await invitations.invite(
            info.context.house,
            info.context.viewer,
            ids.read(input.space_id, "Space", path="spaceId"),
            ids.read(input.user_id, "User", path="userId"),
            input.role,
        )
        return payloads.InvitePayload(invitation=invitation)  # type: ignore[arg-type]

    @mutation("Answer an invitation, once. Accepting while the Space is live enters it.")
    async def respond_to_invitation(
        root: Any, info: Info, input: Annotated[inputs.RespondToInvitationInput, ASKED]
    ) -> payloads.RespondToInvitationPayload:
        participant = await invitations.respond(
            info.context.house,
            info.context.viewer,
            ids.read(input.invitation_id, "Invitation", path="invitationId"),
            accept=input.accept,
        )
        return payloads.RespondToInvitationPayload(participant=participant)  # type: ignore[arg-type]

    @mutation("Put somebody out of a live Space, by its host or a co-host. They cannot come back into it.")
    async def remove_participant(
        root: Any, info: Info, input: Annotated[inputs.RemoveParticipantInput, ASKED]
    ) -> payloads.RemoveParticipantPayload:
        space = await roles.remove(
            info.context.house,
            info.context.viewer,
            ids.read(input.space_id, "Space", path="spaceId"),
            ids.read(input.user_id, "User", path="userId"),
        )
        return payloads.RemoveParticipantPayload(space=space)  # type: ignore[arg-type]
