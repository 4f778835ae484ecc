"""What pages show of cards."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from models.account import Account
from models.clip import Clip
from models.recording import ICON_ON, Recording, RecordingStatus
from models.space import Space, SpaceState
from models.timeline_item import SHARE_KINDS, TimelineItem
from schema.rows import Relation, Rows
from services import avatars, clips, playback, retention, visibility
from services.house import House
from services.links import LinkKind
from services.viewers import Viewer

_RECORDING = Relation(model=Recording, key="id", column="space_id")
_GONE = {
    RecordingStatus.EXPIRED: "This recording has expired.",
    RecordingStatus.DELETED: "The host deleted this recording.",
    RecordingStatus.TAKEN_DOWN: "A moderator took this recording down.",
    RecordingStatus.PURGED: "This recording is gone for good.",
    RecordingStatus.FAILED: "Nothing was recorded: no audio was received.",
}


_NOBODY = "Deleted account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """Where a page plays from."""

    playlist: str
    file: str | None
    start_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a page shows of one card."""

    id: UUID
    url: str
    is_share: bool
    is_clip: bool
    title: str
    space_id: UUID
    space_title: str
    author: str
    host: str
    host_handle: str | None
    comment: str | None
    state: SpaceState
    when: datetime
    listeners: int
    is_recording: bool
    player: Player | None
    image_url: str
    length: str | None
    gone: str | None


class CardBook:
    """Cards as those see them who have not signed in."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def own(self, rows: Rows, space_id: UUID) -> Card | None:
        """The one card that a Space has by its host; None where there is no such Space."""
        found = await TimelineItem.filter(space_id=space_id).exclude(kind__in=list(SHARE_KINDS)).first()
        item = await rows.by_id(TimelineItem, found.id) if found is not None else None
        return await self.card(rows, item) if item is not None else None

    async def card(self, rows: Rows, item: TimelineItem) -> Card:
        """One card with all that a page needs."""
        space: Space = await rows.by_id(Space, item.space_id)
        host: Account = await rows.by_id(Account, space.host_id)
        author: Account = await rows.by_id(Account, item.author_id)
        recording: Recording | None = await rows.one(_RECORDING, space.id)
        clip: Clip | None = await rows.by_id(Clip, item.clip_id)
        now = self._house.clock.now()
        status = retention.status_at(recording, now) if recording else None
        return Card(
            id=item.id,
            url=self._house.links.url(f"/cards/{item.id}"),
            is_share=item.kind in SHARE_KINDS,
            is_clip=item.clip_id is not None,
            title=clip.title if clip else space.title,
            space_id=space.id,
            space_title=space.title,
            author=_name(author),
            host=_name(host),
            host_handle=host.handle if host.deleted_at is None else None,
            comment=item.comment,
            state=space.state,
            when=item.activity_at,
            listeners=space.participant_count,
            is_recording=space.state is SpaceState.LIVE and status in ICON_ON,
            player=self._player(item, space, recording, clip, now),
            image_url=avatars.url(self._house, host) or self._house.links.url("/assets/card.png"),
            length=_length(clip, recording),
            gone=_gone(status, clip),
        )

    def _player(
        self, item: TimelineItem, space: Space, recording: Recording | None, clip: Clip | None, now: datetime
    ) -> Player | None:
        links, admitted = self._house.links, not space.is_ticketed
        if item.clip_id is not None:
            if clip is None or not clips.may_play(clip, recording, now, admitted=admitted):
                return None
            token = links.sign(playback.clip_link(self._house, clip, Viewer(), now))
            base = links.url(f"/media/clips/{token}")
            return Player(playlist=f"{base}/index.m3u8", file=f"{base}/clip.m4a")
        if recording is not None and visibility.may_play(recording, now, admitted=admitted):
            link = playback.recording_link(self._house, recording, Viewer(), now, LinkKind.PLAYBACK)
            base = links.url(f"/media/recordings/{links.sign(link)}")
            # The one file begins where the host lets it start.
            start_ms = max(0, item.start_ms - recording.start_offset_ms)
            return Player(
                playlist=f"{base}/index.m3u8", file=f"{base}/recording.m4a", start_s=start_ms / 1000
            )
        if visibility.may_hear_live(space, None, admitted=admitted):
            token = links.sign(playback.live_link(self._house, space, Viewer(), now))
            return Player(playlist=links.url(f"/media/live/{token}/index.m3u8"), file=None)
        return None


def feed_url(house: House, recording: Recording) -> str | None:
    """Where programs without an account play a recording; None before it has an end."""
    link = playback.feed_link(recording)
    return house.links.url(f"/media/feeds/{house.links.sign(link)}/recording.m4a") if link else None


def _name(account: Account) -> str:
    return account.name if account.deleted_at is None else _NOBODY


def _gone(status: RecordingStatus | None, clip: Clip | None) -> str | None:
    if clip is not None and status is RecordingStatus.AVAILABLE:
        return "The host has cut this part off the recording."
    return _GONE.get(status) if status else None


def _length(clip: Clip | None, recording: Recording | None) -> str | None:
    if clip is not None:
        seconds = max(1, round((clip.end_ms - clip.start_ms) / 1000))
    elif recording is not None and recording.duration_ms:
        # What the host has trimmed off is not played.
        seconds = (recording.duration_ms - recording.start_offset_ms) // 1000
    else:
        return None
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}"
