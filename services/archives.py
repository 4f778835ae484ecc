"""What the journal of a recording tells: who spoke when, and what the host's archive holds."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import orjson

from media.archive import Entry
from media.journal import JOURNAL, Journal, Spoke, TrackFile, parse
from media.ogg import whole_bytes
from media.plain import StoreAway
from media.playlist import PROGRAMME
from media.shelf import Files, Held
from media.threads import in_store_thread
from media.waveform import PEAKS, waveform
from models.account import Account
from models.recording import ICON_ON, Recording, RecordingStatus
from services import playback
from services.errors import InvalidInput, Unavailable
from services.house import House
from services.links import LinkKind
from services.retention import status_at
from services.viewers import Viewer

_TOLD_WHILE = ICON_ON | {RecordingStatus.FINALIZING, RecordingStatus.AVAILABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A stretch in which somebody spoke, in ms since the first audio."""

    account_id: UUID
    start_ms: int
    end_ms: int

    @property
    def place(self) -> tuple[int, int, str]:
        """Where it stands among the others."""
        return (self.start_ms, self.end_ms, str(self.account_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """A page of turns."""

    turns: list[Turn]
    has_next: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """All that the host can take home of one recording."""

    recording_id: UUID
    entries: list[Entry]
    made_at: datetime


async def turns_of(house: House, viewer: Viewer, recording: Recording) -> list[Turn]:
    """Who spoke when, for others than the host without what the host trimmed. Nothing once the recording is gone.

    Whom the viewer may see is the caller's to ask; `page_of_turns` leaves out the others.
    """
    if status_at(recording, house.clock.now()) not in _TOLD_WHILE:
        return []
    journal = await _read_journal(house.shelf.files(recording.id))
    since_ms = 0 if viewer.is_account(recording.host_id) else recording.start_offset_ms
    return [_turn(spoke) for spoke in _audible(journal, recording) if spoke.end_ms > since_ms]


def _audible(journal: Journal, recording: Recording) -> list[Spoke]:
    """Who spoke when, as far as there is sound: one is taken to speak for a moment after one's last word."""
    heard = list(journal.spoke)
    if recording.status not in ICON_ON:
        heard = [replace(spoke, end_ms=min(spoke.end_ms, recording.duration_ms)) for spoke in heard]
    for gap in journal.gaps:
        before = [replace(spoke, end_ms=min(spoke.end_ms, gap.start_ms)) for spoke in heard]
        after = [replace(spoke, start_ms=max(spoke.start_ms, gap.end_ms)) for spoke in heard]
        heard = [spoke for spoke in before + after if spoke.start_ms < spoke.end_ms]
    return heard


def page_of_turns(
    turns: list[Turn], seen: set[UUID], *, first: int, after: tuple[int, int, str] | None
) -> Turns:
    """A page of turns of the people in `seen`, in order. Raises InvalidInput."""
    if not 1 <= first <= 100:
        raise InvalidInput(f"first must be 1 to 100, got {first}.", path=["first"])
    shown = sorted((turn for turn in turns if turn.account_id in seen), key=lambda turn: turn.place)
    following = [turn for turn in shown if after is None or turn.place > after]
    return Turns(turns=following[:first], has_next=len(following) > first)


def _turn(spoke: Spoke) -> Turn:
    return Turn(account_id=UUID(spoke.participant_id), start_ms=spoke.start_ms, end_ms=spoke.end_ms)


async def open_archive(house: House, token: str) -> Archive:
    """What an archive link opens. Raises LinkForged (403) or LinkGone (410)."""
    stored = await playback.open_recording(house, token, LinkKind.ARCHIVE)
    recording = await Recording.get(id=stored.recording_id)
    files = stored.files
    if not await in_store_thread(files.file(PROGRAMME).is_there):
        raise Unavailable("The store does not have this audio at present. Try again later.")
    journal = await _read_journal(files)
    tracks = await in_store_thread(_readable, files, journal.tracks)
    spoken = {spoke.participant_id for spoke in journal.spoke}
    people = {UUID(who) for who in spoken | {track.participant_id for track in tracks}}
    handles = {str(row.id): _handle(row) for row in await Account.filter(id__in=list(people))}
    named = _named(tracks, handles)
    entries = [
        Entry(name=PROGRAMME, content=files.file(PROGRAMME)),
        *(Entry(name=name, content=files.file(track.file)) for name, track in named.items()),
        Entry(name="timeline.json", content=_timeline(recording, journal, named, handles)),
    ]
    made_at = recording.ended_at or house.clock.now()
    return Archive(recording_id=recording.id, entries=entries, made_at=made_at)


async def _read_journal(files: Files) -> Journal:
    def read() -> Journal:
        try:
            return parse(files.file(JOURNAL).read())
        except FileNotFoundError:
            return Journal()

    return await in_store_thread(read)


async def waveform_of(house: House, recording_id: UUID, points: int) -> list[int]:
    """Exactly `points` peaks of a recording, 0 to 255; zeros without audio, nothing while the store is away."""

    def read() -> list[int]:
        try:
            data = house.shelf.files(recording_id).file(PEAKS).read()
        except FileNotFoundError:
            data = b""
        except StoreAway:
            # Nobody can play it at this moment, and a timeline must not fail over a drawing.
            return []
        return list(waveform(data, points))

    return await in_store_thread(read)


def _readable(files: Files, tracks: tuple[TrackFile, ...]) -> list[TrackFile]:
    """Tracks with sound in them; a crash may have left one that never began."""
    return [track for track in tracks if _lies_inside(track.file) and _has_sound(files.file(track.file))]


def _has_sound(track: Held) -> bool:
    if track.is_spooled():
        return bool(whole_bytes(track.path))
    # What was torn had been cut off before it was carried away.
    shelved = track.shelved()
    return shelved is not None and shelved.size_bytes > 0


def _lies_inside(file: str) -> bool:
    """Whether the journal names a file of the recording's own folder."""
    path = PurePosixPath(file)
    return not path.is_absolute() and ".." not in path.parts


async def own_tracks(house: House, recording_id: UUID, account_id: UUID | None) -> list[Entry]:
    """The tracks of one speaker in one recording, for the speaker."""
    files = house.shelf.files(recording_id)
    if not await in_store_thread(files.file(PROGRAMME).is_there):
        return []
    journal = await _read_journal(files)
    mine = tuple(track for track in journal.tracks if track.participant_id == str(account_id))
    return [
        Entry(name=f"recordings/{recording_id}/own-voice-{number}.opus", content=files.file(track.file))
        for number, track in enumerate(await in_store_thread(_readable, files, mine), start=1)
    ]


def _handle(account: Account) -> str:
    return account.handle if account.deleted_at is None else f"deleted-{str(account.id)[:8]}"


def _named(tracks: list[TrackFile], handles: dict[str, str]) -> dict[str, TrackFile]:
    """Names in the archive: the speaker's handle, numbered where a speaker has more files than one."""
    named: dict[str, TrackFile] = {}
    for track in tracks:
        handle = handles.get(track.participant_id, track.participant_id)
        number = sum(other.participant_id == track.participant_id for other in named.values())
        named[f"tracks/{handle}{f'-{number + 1}' if number else ''}.opus"] = track
    return named


def _timeline(
    recording: Recording, journal: Journal, named: dict[str, TrackFile], handles: dict[str, str]
) -> bytes:
    """What an editor needs beside the sound; every track begins where the programme does."""

    def name(participant_id: str) -> str:
        return handles.get(participant_id, participant_id)

    turns = sorted(_audible(journal, recording), key=lambda spoke: (spoke.start_ms, spoke.end_ms))
    told: dict[str, Any] = {
        "startedAt": recording.started_at,
        "durationMs": recording.duration_ms,
        "gaps": recording.gaps,
        "tracks": [{"file": file, "handle": name(track.participant_id)} for file, track in named.items()],
        "turns": [
            {"handle": name(spoke.participant_id), "startMs": spoke.start_ms, "endMs": spoke.end_ms}
            for spoke in turns
        ],
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
