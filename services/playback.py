"""What a media link opens now: checked against the state of things on every request."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from media.engine import EngineError, LiveWindow
from media.mp4 import FRAGMENT_FRAMES, PART_FRAMES
from media.playlist import first_number_at
from media.shelf import Files
from models.account import Account, Suspension
from models.clip import Clip
from models.fields import to_ms
from models.lookup import blocks_of, by_keys
from models.recording import GONE, ICON_ON, Recording, RecordingStatus
from models.space import Space, SpaceState
from models.together import fetch
from services import clips, deadlines, recordings, retention, suspension, visibility
from services.errors import Forbidden, NotFound, RecordingNotAvailable, Unavailable
from services.house import House
from services.links import BadLink, Link, LinkKind, anonymous_id, origin_of
from services.viewers import Viewer


class LinkGone(RecordingNotAvailable):
    """This link was good once and opens nothing any more. Ask for a new one if you may still listen."""

    status = 410


class LinkForged(Forbidden):
    """This link was not made here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Bytes of a recording: where they lie, from when on they may be played, and whether more will come."""

    recording_id: UUID
    space_id: UUID
    files: Files
    start_ms: int
    growing: bool
    listening_key: str
    # Of a clip: where it ends.
    end_ms: int | None = None
    # Nobody gets a link past this server to a review copy.
    is_sealed: bool = False

    @property
    def directory(self) -> Path:
        """Where it is written while it grows."""
        return self.files.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemory:
    """The sliding window of a live Space that is not recorded, or not any more."""

    space_id: str
    opened_at: datetime
    was_recorded: bool

    @property
    def first_number(self) -> int:
        """Fragments and windows of this Space have no lower numbers."""
        return first_number_at(to_ms(self.opened_at))


def recording_link(house: House, recording: Recording, viewer: Viewer, now: datetime, kind: LinkKind) -> Link:
    """A link to listen or download with: good for the recording's length and some slack."""
    length = timedelta(milliseconds=recording.duration_ms)
    return Link(
        kind=kind,
        subject_id=recording.id,
        viewer_id=viewer.id,
        expires_at=now + length + house.rules.link_slack,
    )


def clip_link(house: House, clip: Clip, viewer: Viewer, now: datetime) -> Link:
    """A link to play a clip with."""
    length = timedelta(milliseconds=clip.end_ms - clip.start_ms)
    return Link(
        kind=LinkKind.CLIP,
        subject_id=clip.id,
        viewer_id=viewer.id,
        expires_at=now + length + house.rules.link_slack,
    )


def feed_link(recording: Recording) -> Link | None:
    """A link for podcast apps: the same for everyone, good for as long as the recording may be public."""
    if recording.expires_at is None:
        return None
    return Link(kind=LinkKind.FEED, subject_id=recording.id, viewer_id=None, expires_at=recording.expires_at)


def live_link(house: House, space: Space, viewer: Viewer, now: datetime) -> Link:
    """A link to listen live with: good for as long as a Space can last. One without an account is told from others."""
    started_at = space.started_at or now
    nobody = None if viewer.id else anonymous_id(house.presence.origin(space.id, viewer.address))
    return Link(
        kind=LinkKind.LIVE,
        subject_id=space.id,
        viewer_id=viewer.id,
        anonymous_id=nobody,
        expires_at=started_at + house.rules.longest_space + house.rules.link_slack,
    )


def _read(house: House, token: str, *kinds: LinkKind) -> Link:
    try:
        link = house.links.read(token, *kinds)
    except BadLink as error:
        raise LinkForged from error
    if link.expires_at <= house.clock.now():
        raise LinkGone
    return link


async def _viewer(house: House, link: Link) -> Viewer:
    """The one the link was made for. Raises LinkGone when they may see nothing any more."""
    if link.viewer_id is None:
        return Viewer()
    return _welcome(house, link, await Account.get_or_none(id=link.viewer_id))


def _welcome(house: House, link: Link, account: Account | None) -> Viewer:
    if account is None or account.deleted_at is not None:
        raise LinkGone
    is_suspended = account.suspended_at(house.clock.now()) is Suspension.ACCOUNT
    if is_suspended and link.kind not in suspension.LINKS:
        raise LinkGone
    return Viewer(account=account)


async def _viewer_and_recording(house: House, link: Link) -> tuple[Viewer, Recording]:
    """Who the link was made for, whom blocks hide from them, and its recording: read anew at every request, at once."""
    wanted = [by_keys(Recording, "id", [link.subject_id])]
    if link.viewer_id is not None:
        wanted += [by_keys(Account, "id", [link.viewer_id]), blocks_of(link.viewer_id)]
    found, *of_viewer = await fetch([part for part in wanted if part is not None])
    if not found:
        raise LinkGone
    if not of_viewer:
        return Viewer(), found[0]
    accounts, blocks = of_viewer
    viewer = _welcome(house, link, accounts[0] if accounts else None)
    viewer.hide(blocks)
    return viewer, found[0]


async def open_link(house: House, token: str, *kinds: LinkKind) -> tuple[Link, Viewer]:
    """A link of these kinds and who it was made for. Raises LinkForged (403) or LinkGone (410)."""
    link = _read(house, token, *kinds)
    return link, await _viewer(house, link)


async def open_recording(house: House, token: str, kind: LinkKind) -> Stored:
    """The bytes behind a playback, download or archive link. Raises LinkForged (403) or LinkGone (410)."""
    link = _read(house, token, kind)
    viewer, recording = await _viewer_and_recording(house, link)
    if recording.host_id in await visibility.hidden_from(viewer):
        raise LinkGone
    now = house.clock.now()
    admitted = await visibility.is_admitted(viewer, recording)
    if not visibility.may_play(recording, now, admitted=admitted):
        raise LinkGone
    whole = kind in {LinkKind.DOWNLOAD, LinkKind.ARCHIVE}
    if whole and not visibility.may_download(recording, viewer, now):
        raise LinkGone
    return _stored(house, recording, link, start_ms=0 if whole else recording.start_offset_ms)


def _stored(house: House, recording: Recording, link: Link, *, start_ms: int) -> Stored:
    return Stored(
        recording_id=recording.id,
        space_id=recording.space_id,
        files=house.shelf.files(recording.id),
        start_ms=start_ms,
        growing=recording.status in ICON_ON or recording.status is RecordingStatus.FINALIZING,
        listening_key=f"{link.viewer_id or 'anonymous'}:{int(link.expires_at.timestamp() * 1000)}",
    )


async def open_clip(house: House, token: str) -> Stored:
    """The stretch behind a clip's link. Raises LinkForged (403), or LinkGone (410) with its recording."""
    link = _read(house, token, LinkKind.CLIP)
    viewer = await _viewer(house, link)
    clip = await Clip.get_or_none(id=link.subject_id)
    if clip is None or {clip.host_id, clip.author_id} & await visibility.hidden_from(viewer):
        raise LinkGone
    recording = await Recording.get_or_none(id=clip.recording_id)
    admitted = recording is not None and await visibility.is_admitted(viewer, recording)
    if recording is None or not clips.may_play(clip, recording, house.clock.now(), admitted=admitted):
        raise LinkGone
    stored = _stored(house, recording, link, start_ms=max(clip.start_ms, recording.start_offset_ms))
    return replace(stored, end_ms=clip.end_ms)


def stored_for_feed(house: House, recording: Recording) -> Stored:
    """What the link of a feed would open."""
    return Stored(
        recording_id=recording.id,
        space_id=recording.space_id,
        files=house.shelf.files(recording.id),
        start_ms=recording.start_offset_ms,
        growing=False,
        listening_key="",
    )


async def open_feed(house: House, token: str, *, client: str) -> Stored:
    """What a podcast app plays. `client` names it (address and agent), so that a day of it is one play."""
    link = _read(house, token, LinkKind.FEED)
    recording = await Recording.get_or_none(id=link.subject_id)
    now = house.clock.now()
    if recording is None or not visibility.may_play(recording, now, admitted=not recording.is_ticketed):
        raise LinkGone
    name = hashlib.sha256(client.encode(errors="replace")).hexdigest()[:32]
    return replace(stored_for_feed(house, recording), listening_key=f"feed:{name}:{now:%Y%m%d}")


async def open_review(house: House, token: str) -> Stored:
    """The review copy behind a moderator's link, for as long as there is one and they moderate."""
    link = _read(house, token, LinkKind.REVIEW)
    viewer, recording = await _viewer_and_recording(house, link)
    if not viewer.is_moderator or recording.is_condemned:
        raise LinkGone
    if retention.status_at(recording, house.clock.now()) not in GONE:
        raise LinkGone
    return replace(_stored(house, recording, link, start_ms=0), is_sealed=True)


async def open_live(house: House, token: str) -> Stored | InMemory:
    """What a live link opens: the growing recording, the finished one, or the window in memory."""
    link = _read(house, token, LinkKind.LIVE)
    await deadlines.settle(house)
    viewer = await _viewer(house, link)
    space = await Space.get_or_none(id=link.subject_id)
    if space is None or space.host_id in await visibility.hidden_from(viewer):
        raise LinkGone
    if not await visibility.is_admitted(viewer, space):
        raise LinkGone
    if space.state is SpaceState.LIVE and await visibility.was_removed(viewer, space.id):
        raise LinkGone
    recording = await Recording.get_or_none(space_id=space.id)
    if space.state is SpaceState.LIVE:
        if recording is not None and recording.status in ICON_ON and not recordings.was_cut_off(recording):
            return _stored(house, recording, link, start_ms=0)
        return InMemory(
            space_id=str(space.id),
            opened_at=space.started_at or space.created_at,
            was_recorded=recording is not None,
        )
    now = house.clock.now()
    if recording is None:
        raise LinkGone
    if recording.status is RecordingStatus.FINALIZING or visibility.is_playable(recording, now):
        return _stored(house, recording, link, start_ms=recording.start_offset_ms)
    raise LinkGone


def note_listener(house: House, token: str) -> None:
    """A live playlist was fetched: who holds this good link is present."""
    link = house.links.read(token, LinkKind.LIVE)
    player = link.anonymous_id.bytes if link.anonymous_id else b""
    origin = origin_of(link.anonymous_id) if link.anonymous_id else ""
    house.presence.fetched(link.subject_id, account_id=link.viewer_id, origin=origin, player=player)


async def live_window(house: House, media: InMemory) -> LiveWindow:
    """The window's fragments. Raises Unavailable while the audio service is away."""
    try:
        return await house.engine.live_window(media.space_id)
    except EngineError as error:
        raise Unavailable(retry_after_ms=1000) from error


async def live_bytes(
    house: House,
    media: InMemory,
    *,
    generation: int | None = None,
    sequence: int | None = None,
    part: int | None = None,
) -> bytes:
    """The init segment of the window, one fragment, or one part of a fragment.

    Raises LinkGone once it slid out, NotFound for one that never was in any window of this Space.
    """
    try:
        data = await _from_window(house, media, generation=generation, sequence=sequence or 0, part=part)
        if data is not None:
            return data
        window = await house.engine.live_window(media.space_id)
    except EngineError as error:
        raise Unavailable(retry_after_ms=1000) from error
    number = generation if generation is not None else sequence or 0
    if generation is not None:
        # Before its first fragment a window has no init segment either.
        newest = window.generation if window.fragments else window.generation - 1
    else:
        newest = _newest(window, house.clock.now())
    if part is not None and part * PART_FRAMES >= FRAGMENT_FRAMES:
        raise NotFound
    if media.first_number <= number <= newest:
        raise LinkGone("This part of the live Space has passed.")
    raise NotFound


async def _from_window(
    house: House, media: InMemory, *, generation: int | None, sequence: int, part: int | None
) -> bytes | None:
    if generation is not None:
        return await house.engine.live_init(media.space_id, generation)
    if part is not None:
        return await house.engine.live_part(media.space_id, sequence, part)
    return await house.engine.live_fragment(media.space_id, sequence)


def _newest(window: LiveWindow, now: datetime) -> int:
    """The last fragment that there was; in an empty window, the last that there can have been."""
    return window.fragments[-1].sequence if window.fragments else first_number_at(to_ms(now))


async def count_play(house: House, media: Stored) -> None:
    """Count the listening behind a link as a play, once."""
    await recordings.count_play(house, media.recording_id, key=media.listening_key)
