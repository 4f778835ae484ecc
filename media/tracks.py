"""Each speaker's own track: their Opus packets as they came, on the programme's timeline.

A file holds one publishing session, for an Opus stream is understood from its first packet on. It begins where
the programme does. Wherever nothing came, up to the first word and between words, stand packets that ask the
decoder to conceal (RFC 7845 section 4.1): two bytes for 120 ms, silent before the first word. A track is in
step with the programme to 10 ms, and to a packet's length where the jitter buffer shrank the sound.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from media import ogg
from media.opus import packet_samples

TRACKS = "tracks"
_NAME = re.compile(r"([A-Za-z0-9_-]{1,64})-(\d{1,6})\.opus")

# A speaker whose clock runs fast, or whose delay was shortened, loses a packet when so far ahead.
_DROP_AHEAD_SAMPLES = 2880
# Wideband SILK frames of 20 and 10 ms without content, several in a packet (RFC 6716 section 3.1, code 3).
# libopus conceals by whatever mode came before; FFmpeg would take empty CELT frames for a fade to silence.
_EMPTY_20_MS, _EMPTY_10_MS = 9 << 3 | 3, 8 << 3 | 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Bytes to append to a track's file; `begins` when they are its first."""

    participant_id: str
    file: str
    data: bytes
    begins: bool


_EMPTY = {
    samples: bytes([kind, count])
    for samples, kind, count in ((5760, _EMPTY_20_MS, 6), (960, _EMPTY_20_MS, 1), (480, _EMPTY_10_MS, 1))
}


class Track:
    """One file. `samples` is how much of the timeline has been written, or waits to be taken."""

    def __init__(self, *, participant_id: str, number: int) -> None:
        self.participant_id = participant_id
        self.file = f"{TRACKS}/{participant_id}-{number}.opus"
        self.samples = 0
        self.dropped = 0
        self._serial = secrets.randbits(32)
        self._next_page = 2
        self._pages: list[bytes] = [ogg.opening(serial=self._serial)]
        self._begins = True
        self._packets: list[bytes] = []
        self._segments = 0

    def add(self, payload: bytes, *, at_samples: int) -> None:
        """A packet that is heard from `at_samples` of the programme on."""
        length = packet_samples(payload)
        ahead = self.samples - at_samples
        if not length or ahead >= max(length, _DROP_AHEAD_SAMPLES):
            self.dropped += 1
            return
        self._fill(-ahead)
        self._put(payload, length)

    def _fill(self, samples: int) -> None:
        for length, packet in _EMPTY.items():
            while samples >= length:
                self._put(packet, length)
                samples -= length

    def _put(self, packet: bytes, samples: int) -> None:
        needed = ogg.segments(packet)
        if self._segments + needed > ogg.MAX_SEGMENTS:
            self._close_page()
        self._packets.append(packet)
        self._segments += needed
        self.samples += samples

    def _close_page(self, *, end: bool = False) -> None:
        self._pages.append(
            ogg.page(
                self._packets, serial=self._serial, number=self._next_page, samples=self.samples, end=end
            )
        )
        self._next_page += 1
        self._packets.clear()
        self._segments = 0

    def take(self, *, end: bool = False) -> Pages | None:
        """All that waits, as whole pages; with `end`, the last ones."""
        if end:
            self._fill(960)
        if self._packets:
            self._close_page(end=end)
        elif self._begins or not self._pages:
            return None
        data, begins = b"".join(self._pages), self._begins
        self._pages.clear()
        self._begins = False
        return Pages(participant_id=self.participant_id, file=self.file, data=data, begins=begins)


class Tracks:
    """All tracks of one recording that is being written. `used` is the highest number of each participant."""

    def __init__(self, used: Mapping[str, int] | None = None) -> None:
        self._used = dict(used or {})
        self._tracks: dict[int, Track] = {}
        self._ended: list[Pages] = []

    def add(self, participant_id: str, session: int, payload: bytes, *, at_samples: int) -> None:
        """A packet of a speaker's session; the first one begins its track."""
        track = self._tracks.get(session)
        if track is None:
            number = self._used.get(participant_id, 0) + 1
            if not _NAME.fullmatch(f"{participant_id}-{number}.opus"):
                return
            self._used[participant_id] = number
            track = self._tracks[session] = Track(participant_id=participant_id, number=number)
        track.add(payload, at_samples=at_samples)

    def end(self, session: int) -> None:
        """A session is over: its track is whole with the next pages."""
        track = self._tracks.pop(session, None)
        pages = track.take(end=True) if track is not None else None
        if pages is not None:
            self._ended.append(pages)

    def take(self) -> list[Pages]:
        """What waits of every track."""
        taken, self._ended = self._ended, []
        return taken + [pages for track in self._tracks.values() if (pages := track.take()) is not None]

    def finish(self) -> list[Pages]:
        """What waits, with every track's end."""
        for session in list(self._tracks):
            self.end(session)
        return self.take()


def repair_tracks(directory: Path) -> dict[str, int]:
    """Cut off what is torn; the highest number of each participant. Blocks on the disk."""
    used: dict[str, int] = {}
    for path in sorted((directory / TRACKS).glob("*.opus")):
        name = _NAME.fullmatch(path.name)
        if not name:
            continue
        used[name[1]] = max(used.get(name[1], 0), int(name[2]))
        whole = ogg.whole_bytes(path)
        if whole < path.stat().st_size:
            with path.open("r+b") as file:
                file.truncate(whole)
    return used
