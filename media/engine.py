"""What the rest of the house may ask of the audio plane, and what it hears back.

`AudioEngine` is the one door to live audio. Ids are opaque strings to this package; it knows no
database and decides no rule: who may publish or listen has been decided before it is called.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

LATE_BOUNDS_MS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500)


class RecorderState(StrEnum):
    """What a room's recorder is doing now."""

    STARTING = "STARTING"  # armed, no audio yet
    RECORDING = "RECORDING"  # someone is connected to publish; audio is being written
    INTERRUPTED = "INTERRUPTED"  # nobody is connected to publish; what was written is safe
    FAILED = "FAILED"  # it cannot write now; what was written is safe, and it goes on by itself once it can


class GapCause(StrEnum):
    """Why a stretch of the programme holds no audio."""

    NO_PUBLISHER = "NO_PUBLISHER"  # nobody was connected to publish
    RESTART = "RESTART"  # the server went down and came back
    DISK_FULL = "DISK_FULL"  # there was no room for more
    DISK_ERROR = "DISK_ERROR"  # the disk refused, or was too slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch without audio, in ms since the first audio. At the very end it is told, not filled."""

    start_ms: int
    end_ms: int
    cause: GapCause


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSpec:
    """Where a recording is written. An existing directory is repaired and continued."""

    recording_id: str
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSpec:
    """A room to open. Without `recording` no byte of audio reaches a file."""

    space_id: str
    recording: RecordingSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFacts:
    """What is on disk. `started_at_ms` (Unix time of the first audio) is None when none ever came."""

    recording_id: str
    started_at_ms: int | None
    duration_ms: int
    size_bytes: int
    gaps: tuple[Gap, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishAnswer:
    """A WHIP or WHEP session that was set up: its id and the SDP answer."""

    session_id: str
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFragment:
    """One fragment in the sliding window of a room that is not recorded, and how long its parts are.

    The parts are told of the last few fragments alone.
    """

    sequence: int
    duration_ms: float
    parts_ms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWindow:
    """The last 60 s of a room, from memory. `generation` changes when the init segment does.

    `growing` has the parts, perhaps none, of the fragment that comes next.
    """

    generation: int
    fragments: tuple[LiveFragment, ...]
    growing: LiveFragment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """How a media process is doing; all but the first two count up from its start.

    `late` counts wake-ups of the ticker by how late they were, one number for each bound of `LATE_BOUNDS_MS`
    and one for all beyond; `dropped_packets` came, and were too late or too many to be heard.
    """

    rooms: int = 0
    sessions: int = 0
    late: tuple[int, ...] = ()
    late_worst_ms: float = 0.0
    received_packets: int = 0
    dropped_packets: int = 0
    dropped_events: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderChanged:
    """The recorder moved. Sent after the bytes that it speaks of are on disk."""

    space_id: str
    state: RecorderState
    facts: RecordingFacts
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderProgress:
    """A fragment was written while RECORDING; at least once a second."""

    space_id: str
    facts: RecordingFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherConnected:
    """A participant's audio path is up (ICE and DTLS done)."""

    space_id: str
    participant_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherLost:
    """A participant's audio path is gone: closed, failed, or replaced (`replaced`) by a newer one."""

    space_id: str
    participant_id: str
    session_id: str
    replaced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConnected:
    """Somebody hears the room in real time from now on."""

    space_id: str
    participant_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLost:
    """A session in which somebody heard the room in real time is gone."""

    space_id: str
    participant_id: str
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakingChanged:
    """A participant began or stopped to speak, by level, with a hang-over of some 300 ms."""

    space_id: str
    participant_id: str
    speaking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLost:
    """The media process is gone. Its rooms must be opened again once it is back."""


EngineEvent = (
    RecorderChanged
    | RecorderProgress
    | PublisherConnected
    | PublisherLost
    | ListenerConnected
    | ListenerLost
    | SpeakingChanged
    | EngineLost
)


class EngineError(Exception):
    """The engine refused or failed; the text is for logs."""


class EngineUnavailable(EngineError):
    """The media process cannot be reached now."""


class OfferRefused(EngineError):
    """The SDP offer is not one we can answer; the text says why, for the client."""


class TooManySessions(EngineError):
    """The participant has as many sessions in the room as one may have."""


class RoomFull(EngineError):
    """The room has as many sessions as one may have."""


class EngineFull(EngineError):
    """Every media process has as many rooms as it may have."""


class EngineDraining(EngineError):
    """No media process takes new rooms: they wait for theirs to close, and end."""


class RoomNotFound(EngineError):
    """No such room is open."""


class AudioEngine(Protocol):
    """Live rooms. Every call is idempotent where its name allows; times are Unix ms.

    A call for a room that is not open raises `RoomNotFound`, but for those that would end what is not there. An engine
    may raise `EngineUnavailable` from any of them. `tests/media/test_engine.py` holds every engine to all of this.
    """

    async def open_room(self, spec: RoomSpec, /) -> RecordingFacts | None:
        """Open a room (or find it open) with its recorder armed; facts when it records."""

    async def close_room(self, space_id: str, /) -> RecordingFacts | None:
        """Disconnect everyone and finish the recording: flush, close, ENDLIST. None without a recording, or a room."""

    async def stop_recording(self, space_id: str, /) -> RecordingFacts | None:
        """Finish the recording at once and forget its audio; the room goes on unrecorded."""

    async def publish(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        """Answer a WHIP offer. A newer session of the same participant replaces the older one once it
        connects, and ends what the participant's other devices listen to. Raises `TooManySessions`.
        """

    async def listen(
        self, space_id: str, participant_id: str, offer_sdp: str, device: str = "", /
    ) -> PublishAnswer:
        """Answer a WHEP offer: everyone in the room but the participant, mixed, with low delay."""

    async def unlisten(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """End a listening session of a participant. False when there is none, or no room."""

    async def has_session(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """Whether a participant has this session, whichever way its sound goes. False without a room."""

    async def unpublish(self, space_id: str, participant_id: str, session_id: str, /) -> bool:
        """End a publishing session of a participant; what it had sent is still played out. False when there is none,
        or no room.
        """

    async def remove_participant(self, space_id: str, participant_id: str, /) -> None:
        """End every session of a participant in a room, both ways; nothing is sent after this returns."""

    async def set_muted(self, space_id: str, participant_id: str, muted: bool, /) -> None:
        """Drop (or take again) a participant's packets, also of sessions to come."""

    async def live_window(self, space_id: str, /) -> LiveWindow:
        """The sliding window of an unrecorded room."""

    async def live_init(self, space_id: str, generation: int, /) -> bytes | None:
        """The init segment of the window."""

    async def live_fragment(self, space_id: str, sequence: int, /) -> bytes | None:
        """The bytes of one fragment of the window; None once it slid out."""

    async def live_part(self, space_id: str, sequence: int, number: int, /) -> bytes | None:
        """The bytes of one part of a fragment, also of one that grows; None when it is not there."""

    async def suspend(self) -> tuple[RecordingFacts, ...]:
        """Close the open fragment of every recording, for a shutdown. Rooms take no more audio."""

    async def stats(self) -> EngineStats:
        """How it is doing."""

    def events(self) -> AsyncIterator[EngineEvent]:
        """Everything that happens, in order; one reader."""
