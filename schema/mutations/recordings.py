"""Recordings, shares and the rollout."""

from typing import Annotated, Any

import strawberry

from schema import ids, inputs, payloads
from schema.context import Info
from schema.mutations.arguments import ASKED, given
from schema.payloads import mutation
from schema.rollout import UpdateRolloutInput, UpdateRolloutPayload, rollout_of
from services import clips, recordings, rollout, shares


@strawberry.type
class RecordingMutations:
    """Recordings, shares and the rollout."""

    @mutation("Move where playback starts; nothing is cut from the file.")
    async def trim_recording(
        root: Any, info: Info, input: Annotated[inputs.TrimRecordingInput, ASKED]
    ) -> payloads.TrimRecordingPayload:
        recording = await recordings.trim(
            info.context.house,
            info.context.viewer,
            ids.read(input.recording_id, "Recording", path="recordingId"),
            start_offset_ms=input.start_offset_ms,
        )
        return payloads.TrimRecordingPayload(recording=recording)  # type: ignore[arg-type]

    @mutation("Share a Space as a card of one's own.")
    async def share_space(
        root: Any, info: Info, input: Annotated[inputs.ShareSpaceInput, ASKED]
    ) -> payloads.ShareSpacePayload:
        item = await shares.share_space(
            info.context.house,
            info.context.viewer,
            ids.read(input.space_id, "Space", path="spaceId"),
            comment=given(input.comment),
        )
        return payloads.ShareSpacePayload(item=item)  # type: ignore[arg-type]

    @mutation("Share a recording as a card of one's own, from a moment in it.")
    async def share_recording(
        root: Any, info: Info, input: Annotated[inputs.ShareRecordingInput, ASKED]
    ) -> payloads.ShareRecordingPayload:
        item, recording = await shares.share_recording(
            info.context.house,
            info.context.viewer,
            ids.read(input.recording_id, "Recording", path="recordingId"),
            comment=given(input.comment),
            start_ms=input.start_ms,
        )
        return payloads.ShareRecordingPayload(item=item, recording=recording)  # type: ignore[arg-type]

    @mutation("Take one's own share back.")
    async def delete_share(
        root: Any, info: Info, input: Annotated[inputs.DeleteShareInput, ASKED]
    ) -> payloads.DeleteSharePayload:
        item_id = ids.read(input.item_id, "TimelineItem", path="itemId")
        await shares.delete_share(info.context.house, info.context.viewer, item_id)
        return payloads.DeleteSharePayload(deleted_item_id=ids.pack("TimelineItem", item_id))

    @mutation(
        "Cut a clip of at most 30 s, with a card of one's own. By anyone who may play, unless the host disallows."
    )
    async def create_clip(
        root: Any, info: Info, input: Annotated[inputs.CreateClipInput, ASKED]
    ) -> payloads.CreateClipPayload:
        clip, item = await clips.create(
            info.context.house,
            info.context.viewer,
            ids.read(input.recording_id, "Recording", path="recordingId"),
            start_ms=input.start_ms,
            end_ms=input.end_ms,
            title=input.title,
            comment=given(input.comment),
        )
        return payloads.CreateClipPayload(clip=clip, item=item)  # type: ignore[arg-type]

    @mutation("Take a clip away, with its card: by its author or the host of the Space.")
    async def delete_clip(
        root: Any, info: Info, input: Annotated[inputs.DeleteClipInput, ASKED]
    ) -> payloads.DeleteClipPayload:
        clip_id = ids.read(input.clip_id, "Clip", path="clipId")
        await clips.delete(info.context.house, info.context.viewer, clip_id)
        return payloads.DeleteClipPayload(deleted_clip_id=ids.pack("Clip", clip_id))

    @mutation(
        "At any time until it is gone, by the host. ARMED: it turns the toggle off. While live it stops the recorder"
        " at once and the Space goes on; what was written goes to review."
    )
    async def delete_recording(
        root: Any, info: Info, input: Annotated[inputs.DeleteRecordingInput, ASKED]
    ) -> payloads.DeleteRecordingPayload:
        recording_id = ids.read(input.recording_id, "Recording", path="recordingId")
        recording = await recordings.delete(info.context.house, info.context.viewer, recording_id)
        return payloads.DeleteRecordingPayload(recording=recording)  # type: ignore[arg-type]

    @mutation("Keep where the viewer stopped. The latest listening wins, whichever was told first.")
    async def save_playback_position(
        root: Any, info: Info, input: Annotated[inputs.SavePlaybackPositionInput, ASKED]
    ) -> payloads.SavePlaybackPositionPayload:
        recording = await recordings.save_position(
            info.context.house,
            info.context.viewer,
            ids.read(input.recording_id, "Recording", path="recordingId"),
            position_ms=input.position_ms,
            listened_at=given(input.listened_at),
        )
        return payloads.SavePlaybackPositionPayload(recording=recording)  # type: ignore[arg-type]

    @mutation("Moderators: change who may record. A running recording is never stopped by it.")
    async def update_rollout(
        root: Any, info: Info, input: Annotated[UpdateRolloutInput, ASKED]
    ) -> UpdateRolloutPayload:
        wish = rollout.Wish(
            stage=given(input.stage),
            platforms=given(input.platforms),
            percentage=given(input.percentage),
            allow_handles=tuple(given(input.allow_handles) or ()),
            remove_handles=tuple(given(input.remove_handles) or ()),
        )
        made = await rollout.update(info.context.house, info.context.viewer, wish, dry_run=input.dry_run)
        return UpdateRolloutPayload(
            rollout=rollout_of(made.rollout), gaining=made.gaining, losing=made.losing
        )
