"""Inputs, one a mutation."""

from datetime import datetime
from typing import Any

import strawberry

from models.invitation import InvitedRole
from models.space import Platform, SpeakerPolicy
from schema.enums import AssignableRole
from schema.tickets import TicketingInput

_PLATFORM = "Where the client runs."
_PERSON = "The person."


def _needed(description: str) -> Any:
    return strawberry.field(description=description)


def _left_out(description: str) -> Any:
    """A field that may be left out, without a default of its own."""
    return strawberry.field(description=description, default=strawberry.UNSET)


def _default(value: Any, description: str) -> Any:
    if isinstance(value, list):
        return strawberry.field(description=description, default_factory=lambda: list(value))
    return strawberry.field(description=description, default=value)


@strawberry.input(description="A new account.")
class SignUpInput:
    """A new account."""

    handle: str = _needed("3 to 30 letters, digits and underscores, unique without regard to case.")
    name: str = _needed("The name to show, 1 to 100 characters.")
    password: str = _needed("8 to 128 characters of any kind.")


@strawberry.input(description="Who signs in.")
class SignInInput:
    """Who signs in."""

    handle: str = _needed("The account's handle.")
    password: str = _needed("The account's password.")


@strawberry.input(description="Which sessions end.")
class SignOutInput:
    """Which sessions end."""

    everywhere: bool = _default(False, "End every session of the account.")


@strawberry.input(description="What changes; what is left out stays.")
class UpdateAccountInput:
    """What changes in an account."""

    name: str | None = _left_out("The name to show, 1 to 100 characters.")
    bio: str | None = _left_out("What the person says of themselves, at most 500 characters.")
    records_by_default: bool | None = _left_out("The default for the 'Record Space' toggle.")


@strawberry.input(description="A new password.")
class ChangePasswordInput:
    """A new password."""

    current_password: str = _needed("The password until now.")
    new_password: str = _needed("8 to 128 characters of any kind.")


@strawberry.input(description="What the archive of an account holds.")
class ExportAccountInput:
    """What the archive of an account holds."""

    include_recordings: bool = _default(
        False, "Also the recordings of the account's Spaces that can be played, and its voice in others'."
    )


@strawberry.input(description="The word that an account is to be deleted.")
class DeleteAccountInput:
    """The word that an account is to be deleted."""

    password: str = _needed("The account's password.")


@strawberry.input(description="Whom to follow.")
class FollowInput:
    """Whom to follow."""

    user_id: strawberry.ID = _needed(_PERSON)


@strawberry.input(description="Whom to follow no more.")
class UnfollowInput:
    """Whom to follow no more."""

    user_id: strawberry.ID = _needed(_PERSON)


@strawberry.input(description="Whom to block.")
class BlockInput:
    """Whom to block."""

    user_id: strawberry.ID = _needed(_PERSON)


@strawberry.input(description="Whom to block no more.")
class UnblockInput:
    """Whom to block no more."""

    user_id: strawberry.ID = _needed(_PERSON)


@strawberry.input(description="A new Space.")
class CreateSpaceInput:
    """A new Space."""

    title: str = _needed("1 to 200 characters.")
    description: str | None = _left_out("What it is about, at most 5,000 characters.")
    language: str | None = _left_out("BCP 47.")
    topics: list[str] = _default([], "At most 10 key words.")
    scheduled_start: datetime | None = _left_out("At most 14 days ahead; left out: ready to launch at once.")
    record: bool | None = _left_out("The 'Record Space' toggle; null takes the account's default.")
    platform: Platform = _default(Platform.WEB, "Where the toggle was set.")
    speaker_policy: SpeakerPolicy = _default(SpeakerPolicy.RAISED_HAND, "How a listener becomes a speaker.")
    ticketing: TicketingInput | None = _left_out(
        "Entry and playback need a ticket; left out: they need none."
    )
    cohost_handles: list[str] = _default([], "Whom to invite as co-hosts, at most 2.")


@strawberry.input(description="What changes; what is left out stays.")
class UpdateSpaceInput:
    """What changes in a Space."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer hosts.")
    title: str | None = _left_out("1 to 200 characters.")
    description: str | None = _left_out("What it is about; null clears it.")
    language: str | None = _left_out("BCP 47; null clears it.")
    topics: list[str] | None = _left_out("At most 10 key words.")
    scheduled_start: datetime | None = _left_out(
        "Changes before launch only, and not once a ticket is sold; null: ready at once."
    )
    speaker_policy: SpeakerPolicy | None = _left_out("How a listener becomes a speaker.")
    clips_allowed: bool | None = _left_out("Whether listeners may cut clips of its recording.")


@strawberry.input(description="Where the 'Record Space' toggle is put.")
class ToggleRecordingInput:
    """Where the 'Record Space' toggle is put."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer hosts, before its launch.")
    enabled: bool = _needed("Record or not.")
    platform: Platform = _default(Platform.WEB, "Where the toggle was set.")


@strawberry.input(description="Which Space is launched.")
class StartSpaceInput:
    """Which Space is launched."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer hosts.")
    platform: Platform = _default(Platform.WEB, _PLATFORM)


@strawberry.input(description="Which Space ends.")
class EndSpaceInput:
    """Which Space ends."""

    space_id: strawberry.ID = _needed("Id of a live Space; the viewer hosts it, or is a moderator.")


@strawberry.input(description="Which Space is called off.")
class CancelSpaceInput:
    """Which Space is called off."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer hosts, before its launch.")


@strawberry.input(description="Which Space to enter.")
class JoinSpaceInput:
    """Which Space to enter."""

    space_id: strawberry.ID = _needed("Id of a live Space.")
    platform: Platform = _default(Platform.WEB, _PLATFORM)


@strawberry.input(description="Which Space to leave.")
class LeaveSpaceInput:
    """Which Space to leave."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer is in.")


@strawberry.input(description="That the viewer was told that the Space is recorded.")
class AcknowledgeRecordingInput:
    """That the viewer was told that the Space is recorded."""

    space_id: strawberry.ID = _needed("Id of the recorded Space that the viewer is in.")
    consent_version: str = _needed("Of the text that was shown (Space.consent).")


@strawberry.input(description="A hand up or down.")
class RaiseHandInput:
    """A hand up or down."""

    space_id: strawberry.ID = _needed("Id of the Space in which the viewer listens.")
    raised: bool = _needed("Up or down.")


@strawberry.input(description="Whose role changes to what.")
class SetParticipantRoleInput:
    """Whose role changes to what."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer hosts or co-hosts.")
    user_id: strawberry.ID = _needed(_PERSON)
    role: AssignableRole = _needed("SPEAKER for someone whose hand is raised; LISTENER: back to listening.")


@strawberry.input(description="Who is asked to be what.")
class InviteInput:
    """Who is asked to be what."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer hosts or co-hosts.")
    user_id: strawberry.ID = _needed(_PERSON)
    role: InvitedRole = _needed("What they are asked to be.")


@strawberry.input(description="An answer to an invitation.")
class RespondToInvitationInput:
    """An answer to an invitation."""

    invitation_id: strawberry.ID = _needed("The invitation, one's own.")
    accept: bool = _needed("Yes or no.")


@strawberry.input(description="Who is put out of which Space.")
class RemoveParticipantInput:
    """Who is put out of which Space."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer hosts or co-hosts.")
    user_id: strawberry.ID = _needed(_PERSON)


@strawberry.input(description="Whose microphone, on or off.")
class SetMutedInput:
    """Whose microphone, on or off."""

    space_id: strawberry.ID = _needed("Id of a live Space that the viewer is in.")
    user_id: strawberry.ID = _needed(_PERSON)
    muted: bool = _needed("True: off. Anyone may mute themselves, host and co-hosts others.")


@strawberry.input(description="Which Space to be reminded of.")
class SetReminderInput:
    """Which Space to be reminded of."""

    space_id: strawberry.ID = _needed("Id of a Space that has not been launched.")
    enabled: bool = _needed("Remind, or no more.")


@strawberry.input(description="Where playback starts.")
class TrimRecordingInput:
    """Where playback starts."""

    recording_id: strawberry.ID = _needed("Id of a recording of a Space that the viewer hosts.")
    start_offset_ms: int = _needed("In ms since the first audio, within the recording.")


@strawberry.input(description="Which Space to share.")
class ShareSpaceInput:
    """Which Space to share."""

    space_id: strawberry.ID = _needed("Id of a Space that the viewer may see.")
    comment: str | None = _left_out("At most 1,000 characters.")


@strawberry.input(description="Which recording to share, from where.")
class ShareRecordingInput:
    """Which recording to share, from where."""

    recording_id: strawberry.ID = _needed("Id of a recording that the viewer may play.")
    comment: str | None = _left_out("At most 1,000 characters.")
    start_ms: int = _default(0, "Where playback is to start.")


@strawberry.input(description="Which share to take back.")
class DeleteShareInput:
    """Which share to take back."""

    item_id: strawberry.ID = _needed("The card.")


@strawberry.input(description="What to cut out of which recording.")
class CreateClipInput:
    """What to cut out of which recording."""

    recording_id: strawberry.ID = _needed(
        "Id of a recording that the viewer may play, and whose host allows clips."
    )
    start_ms: int = _needed("From here, in ms since the first audio; not before the start that the host set.")
    end_ms: int = _needed("Up to here; at most 30,000 ms after the start.")
    title: str = _needed("1 to 200 characters.")
    comment: str | None = _left_out("What the card says, at most 1,000 characters.")


@strawberry.input(description="Which clip to delete.")
class DeleteClipInput:
    """Which clip to delete."""

    clip_id: strawberry.ID = _needed("Id of a clip that the viewer cut, or of a recording that they host.")


@strawberry.input(description="Which recording to delete.")
class DeleteRecordingInput:
    """Which recording to delete."""

    recording_id: strawberry.ID = _needed("Id of a recording of a Space that the viewer hosts.")


@strawberry.input(description="Where the viewer stopped.")
class SavePlaybackPositionInput:
    """Where the viewer stopped."""

    recording_id: strawberry.ID = _needed("Id of a recording that the viewer may play.")
    position_ms: int = _needed("In ms since the first audio.")
    listened_at: datetime | None = _left_out("When the viewer was there, by the player; null is now.")
