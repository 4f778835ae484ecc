"""Where sound meets rows: who may publish and listen in real time, and what the audio plane reports."""

from collections.abc import Awaitable, Callable, Collection
from hashlib import sha256
from uuid import UUID

from media.engine import (
    EngineError,
    EngineEvent,
    EngineLost,
    ListenerConnected,
    ListenerLost,
    OfferRefused,
    PublishAnswer,
    PublisherConnected,
    PublisherLost,
    RecorderChanged,
    RecorderProgress,
    RecorderState,
    RecordingFacts,
    RoomFull,
    RoomNotFound,
    SpeakingChanged,
    TooManySessions,
)
from models.account import Account
from models.participant import Participant, ParticipantRole
from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space, SpaceState
from services import deadlines, entering, participation
from services.changes import change
from services.errors import (
    AlreadyEnded,
    CapacityReached,
    Conflict,
    ConsentRequired,
    Forbidden,
    InvalidInput,
    NotFound,
    NotLive,
    Unauthenticated,
    Unavailable,
)
from services.house import House
from services.links import BadLink, LinkKind
from services.recordings import take_facts
from services.spaces import room_spec
from services.states import may_move, move_and_tell
from services.viewers import Viewer
from services.visibility import visible_space

_STATUS = {
    RecorderState.RECORDING: RecordingStatus.RECORDING,
    RecorderState.INTERRUPTED: RecordingStatus.INTERRUPTED,
    RecorderState.FAILED: RecordingStatus.INTERRUPTED,
}


async def _participant(house: House, token: str | None, space_id: UUID) -> tuple[Space, Participant]:
    """Whose media token this is, in which Space. Raises what WHIP and WHEP answer."""
    if token is None:
        raise Unauthenticated("Send the mediaToken of joinSpace as `Authorization: Bearer …`.")
    try:
        link = house.links.read(token, LinkKind.PUBLISH)
    except BadLink as error:
        raise Unauthenticated("This is not a media token. Take the one that joinSpace answers.") from error
    if link.subject_id != space_id or link.expires_at <= house.clock.now():
        raise Unauthenticated("This media token is for another Space or has expired. Join again.")
    space = await Space.get_or_none(id=space_id)
    if space is None:
        raise NotFound
    found = await Participant.get_or_none(space_id=space_id, account_id=link.viewer_id)
    if found is None:
        raise Forbidden("You are not in this Space. Join it first with joinSpace.")
    return space, found


async def _speaker(house: House, token: str | None, space_id: UUID) -> tuple[Space, Participant]:
    """A host, co-host or speaker in a live Space, by media token."""
    await deadlines.settle(house)
    space, found = await _participant(house, token, space_id)
    if space.state is SpaceState.SCHEDULED:
        raise NotLive
    if space.state is not SpaceState.LIVE:
        raise AlreadyEnded
    await _still_sees(house, found, space)
    if found.left_at is not None and found.has_lapsed:
        await participation.come_back(house, space.id, found.account_id)
        await found.refresh_from_db()
    _expect_role(found)
    return space, found


def _expect_role(found: Participant) -> None:
    if not entering.may_publish(found):
        raise Forbidden("Listeners cannot publish, and hear the Space by HLS. Raise a hand first.")


class TakenOver(Conflict):
    """You speak from another device since. Join again to speak from this one."""


async def publish(
    house: House, token: str | None, space_id: UUID, offer_sdp: str, resumes: Collection[str] = ()
) -> PublishAnswer:
    """Answer a WHIP offer of a host, co-host or speaker who has acknowledged the recording.

    An offer that `resumes` sessions is refused with TakenOver when the person is heard by another one.
    """
    space, found = await _speaker(house, token, space_id)
    if resumes and await house.presence.publishes_by_another(space_id, found.account_id, resumes):
        raise TakenOver
    if not await participation.has_consented(house, space, found):
        raise ConsentRequired
    return await _open(house, space, found, house.engine.publish, offer_sdp, device=_device(token))


async def listen(
    house: House, token: str | None, space_id: UUID, offer_sdp: str, _resumes: Collection[str] = ()
) -> PublishAnswer:
    """Answer a WHEP offer of a host, co-host or speaker: they hear the others in real time."""
    space, found = await _speaker(house, token, space_id)
    return await _open(house, space, found, house.engine.listen, offer_sdp, device=_device(token))


def _device(token: str | None) -> str:
    """joinSpace answers each device a token of its own."""
    return sha256((token or "").encode()).hexdigest()[:16]


async def _open(
    house: House,
    space: Space,
    found: Participant,
    answer: Callable[[str, str, str, str], Awaitable[PublishAnswer]],
    offer_sdp: str,
    *,
    device: str,
) -> PublishAnswer:
    room, person = str(space.id), str(found.account_id)
    try:
        await _ready_room(house, space, found)
        answered = await answer(room, person, offer_sdp, device)
        await _check_again(house, space, found)
    except OfferRefused as error:
        raise InvalidInput(f"The SDP offer cannot be answered: {error}") from error
    except TooManySessions as error:
        raise CapacityReached(
            "You have as many audio sessions in this Space as one may have. End one of them first."
        ) from error
    except RoomFull as error:
        raise CapacityReached(
            "This Space has as many audio sessions as one may have. Try again when somebody has left."
        ) from error
    except EngineError as error:
        raise Unavailable(
            "The audio service cannot be reached. Try again shortly.", retry_after_ms=1000
        ) from error
    return answered


async def _ready_room(house: House, space: Space, found: Participant) -> None:
    """Tell the room who is muted. One that a restart of the audio plane lost is opened again first."""
    room, person = str(space.id), str(found.account_id)
    try:
        await house.engine.set_muted(room, person, found.is_muted)
    except RoomNotFound:
        recording = await Recording.get_or_none(space_id=space.id, status__in=list(ICON_ON))
        await house.engine.open_room(room_spec(house, space, recording))
        await house.engine.set_muted(room, person, found.is_muted)


async def _check_again(house: House, space: Space, found: Participant) -> None:
    """What was decided while the engine answered holds too: no session outlives the right to it."""
    was_muted = found.is_muted
    await found.refresh_from_db()
    if found.is_muted is not was_muted:
        await house.engine.set_muted(str(space.id), str(found.account_id), found.is_muted)
    try:
        _expect_role(found)
    except Forbidden:
        await house.engine.remove_participant(str(space.id), str(found.account_id))
        raise


async def _still_sees(house: House, found: Participant, space: Space) -> None:
    """A block or a suspension since joining ends the right to publish and to listen."""
    account = await Account.get_or_none(id=found.account_id, deleted_at=None)
    if account is not None:
        account.suspension = account.suspended_at(house.clock.now())
    viewer = Viewer(account=account)
    viewer.signed_in()
    await visible_space(viewer, space.id)


async def unpublish(house: House, token: str | None, space_id: UUID, session_id: str) -> None:
    """End a WHIP session. Raises NotFound when there is none."""
    await _of_session(house, token, space_id, session_id, house.engine.unpublish)


async def unlisten(house: House, token: str | None, space_id: UUID, session_id: str) -> None:
    """End a WHEP session. Raises NotFound when there is none."""
    await _of_session(house, token, space_id, session_id, house.engine.unlisten)


async def expect_session(house: House, token: str | None, space_id: UUID, session_id: str) -> None:
    """Raises NotFound unless this is an open session of who holds the token."""
    await _of_session(house, token, space_id, session_id, house.engine.has_session)


async def _of_session(
    house: House,
    token: str | None,
    space_id: UUID,
    session_id: str,
    ask: Callable[[str, str, str], Awaitable[bool]],
) -> None:
    space, found = await _participant(house, token, space_id)
    try:
        is_theirs = await ask(str(space.id), str(found.account_id), session_id)
    except EngineError as error:
        raise Unavailable(retry_after_ms=1000) from error
    if not is_theirs:
        raise NotFound("There is no such session. It has ended already.")


class Ingest:
    """Writes what the audio plane reports. Progress is gathered and written once a second for all rooms."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._progress: dict[UUID, RecordingFacts] = {}

    async def hear(self, event: EngineEvent) -> None:
        """Take one event in. Events of rooms that have ended since are of no consequence."""
        match event:
            case RecorderProgress():
                self._progress[UUID(event.facts.recording_id)] = event.facts
            case RecorderChanged():
                self._progress.pop(UUID(event.facts.recording_id), None)
                await self._recorder_changed(event)
            case PublisherConnected():
                self._note(event, publishes=True)
                await self._connection(event, connected=True)
            case PublisherLost():
                # One that never connected, or that another has replaced, is no loss.
                if self._forget(event) and not event.replaced:
                    await self._connection(event, connected=False)
            case ListenerConnected():
                self._note(event, publishes=False)
            case ListenerLost():
                self._forget(event)
            case SpeakingChanged():
                await Participant.filter(
                    space_id=UUID(event.space_id), account_id=UUID(event.participant_id), left_at=None
                ).update(is_speaking=event.speaking)
            case EngineLost():
                self._progress.clear()

    def _note(self, event: PublisherConnected | ListenerConnected, *, publishes: bool) -> None:
        space_id, account_id = UUID(event.space_id), UUID(event.participant_id)
        self._house.presence.connected(space_id, account_id, event.session_id, publishes=publishes)

    def _forget(self, event: PublisherLost | ListenerLost) -> bool:
        space_id, account_id = UUID(event.space_id), UUID(event.participant_id)
        return self._house.presence.disconnected(space_id, account_id, event.session_id)

    async def flush(self) -> None:
        """Write the progress that has gathered, in one transaction."""
        if not self._progress:
            return
        progress, self._progress = self._progress, {}
        async with change(self._house):
            for recording_id, facts in progress.items():
                await Recording.filter(id=recording_id, status=RecordingStatus.RECORDING).update(
                    duration_ms=facts.duration_ms, size_bytes=facts.size_bytes
                )

    async def _recorder_changed(self, event: RecorderChanged) -> None:
        to = _STATUS.get(event.state)
        if to is None:
            return
        async with change(self._house) as made:
            space = await made.space(UUID(event.space_id))
            recording = await Recording.select_for_update().get_or_none(id=UUID(event.facts.recording_id))
            if recording is None or recording.status not in ICON_ON:
                return
            take_facts(recording, event.facts)
            recording.failure_reason = event.reason[:200] if event.reason else None
            if may_move(recording, to):
                await move_and_tell(made, space, recording, to)
            else:
                await recording.save()

    async def _connection(self, event: PublisherConnected | PublisherLost, *, connected: bool) -> None:
        space_id, account_id = UUID(event.space_id), UUID(event.participant_id)
        async with change(self._house) as made:
            space = await Space.select_for_update().get_or_none(id=space_id, state=SpaceState.LIVE)
            if space is None:
                return
            found = await Participant.select_for_update().get_or_none(
                space_id=space_id, account_id=account_id
            )
            if found is not None and connected and found.left_at is not None and found.has_lapsed:
                await entering.enter(self._house, made, space, found)
            if found is None or found.left_at is not None:
                return
            found.is_connected = connected
            found.was_connected = found.was_connected or connected
            found.is_speaking = found.is_speaking and connected
            await found.save(update_fields=["is_connected", "was_connected", "is_speaking"])
            if found.role is ParticipantRole.HOST:
                space.host_lost_at = None if connected else made.now
                await space.save(update_fields=["host_lost_at"])
                made.mind(space)
