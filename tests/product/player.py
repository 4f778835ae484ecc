"""A player that forgives nothing: it reads a playlist by RFC 8216 and its second edition, fetches and listens."""

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin

import m3u8
import numpy as np
from numpy.typing import NDArray

from tests.media.sound import SAMPLE_RATE_HZ, Signal, decode
from tests.product.town import Town

# EXT-X-MAP in a playlist of whole segments needs version 6 (RFC 8216, section 7).
_LEAST_VERSION = 6
_ONCE = {
    "#EXT-X-VERSION",
    "#EXT-X-TARGETDURATION",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-DISCONTINUITY-SEQUENCE",
    "#EXT-X-PLAYLIST-TYPE",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    "#EXT-X-ENDLIST",
    "#EXT-X-SERVER-CONTROL",
    "#EXT-X-PART-INF",
    "#EXT-X-SKIP",
    "#EXT-X-PRELOAD-HINT",
}
_MANY = {"#EXTINF", "#EXT-X-BYTERANGE", "#EXT-X-MAP", "#EXT-X-PROGRAM-DATE-TIME", "#EXT-X-PART"}
_AT_THE_END = {"#EXT-X-ENDLIST", "#EXT-X-PRELOAD-HINT"}
_PART = re.compile(r'DURATION=(\d+\.\d+),URI="([^"]+)",INDEPENDENT=YES')
_HINT = re.compile(r'TYPE=PART,URI="([^"]+)"')
_CONTROL = re.compile(r"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=(\d+\.\d+),CAN-SKIP-UNTIL=(\d+\.\d+)")
_RANGE = re.compile(r"(\d+)@(\d+)")
_MAP = re.compile(r'URI="([^"]+)"(?:,BYTERANGE="(\d+)@(\d+)")?')
_SMOOTHING_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something to fetch: a whole resource, or `length` bytes of it from `offset` on."""

    uri: str
    offset: int | None
    length: int | None
    duration_s: float = 0.0
    parts: "tuple[Piece, ...]" = ()

    @property
    def header(self) -> dict[str, str]:
        """What asks for it."""
        if self.offset is None or self.length is None:
            return {}
        return {"Range": f"bytes={self.offset}-{self.offset + self.length - 1}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """A playlist in which every rule held."""

    init: Piece | None
    pieces: tuple[Piece, ...]
    ended: bool
    kind: str | None
    first_number: int
    # Of the piece that comes next, and the name of the part that does.
    growing: tuple[Piece, ...] = ()
    hint: str | None = None
    skipped: int = 0

    @property
    def next_number(self) -> int:
        """The number of the piece that comes next."""
        return self.first_number + self.skipped + len(self.pieces)

    @property
    def duration_s(self) -> float:
        """Length of all that can be played."""
        return sum(piece.duration_s for piece in self.pieces)


def read_playlist(text: str) -> Playlist:
    """A playlist, checked tag by tag and by another's parser. Fails on the first rule that is broken."""
    lines = text.split("\n")
    assert lines[0] == "#EXTM3U", f"expected #EXTM3U first, got {lines[0]!r}"
    assert lines[-1] == "", "expected a line break at the end"
    found = _Reader()
    for line in lines[1:-1]:
        found.take(line)
    playlist = found.done()
    _agree(playlist, m3u8.M3U8(text, strict=True))
    return playlist


class _Reader:
    """Takes lines in their order."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.init: Piece | None = None
        self.pieces: list[Piece] = []
        self._duration_s: float | None = None
        self._range: tuple[int, int] | None = None
        self._parts: list[Piece] = []

    def take(self, line: str) -> None:
        assert line == line.strip(), f"expected no space around a line, got {line!r}"
        assert line, "expected no empty line"
        assert "#EXT-X-ENDLIST" not in self.tags, f"expected nothing behind the end, got {line!r}"
        if not line.startswith("#"):
            self._take_uri(line)
            return
        tag, _, value = line.partition(":")
        assert tag in _ONCE | _MANY, f"expected a tag of RFC 8216, got {tag}"
        if tag in _ONCE:
            assert tag not in self.tags, f"expected {tag} once"
            assert not self.pieces or tag in _AT_THE_END, f"expected {tag} before the first segment"
            assert "#EXT-X-PRELOAD-HINT" not in self.tags, f"expected nothing behind the hint, got {line!r}"
            self.tags[tag] = value
        else:
            self._take_tag(tag, value)

    def _take_tag(self, tag: str, value: str) -> None:
        match tag:
            case "#EXTINF":
                assert re.fullmatch(r"\d+\.\d+,", value), f"expected a decimal duration, got {value!r}"
                self._duration_s = float(value[:-1])
                assert self._duration_s > 0, "expected no segment without a duration"
            case "#EXT-X-BYTERANGE":
                found = _RANGE.fullmatch(value)
                assert found, f"expected length@offset, got {value!r}"
                self._range = int(found[1]), int(found[2])
            case "#EXT-X-MAP":
                self._take_map(value)
            case "#EXT-X-PART":
                self._take_part(value)
            case "#EXT-X-PROGRAM-DATE-TIME":
                assert datetime.fromisoformat(value).tzinfo is not None, f"expected a zone, got {value!r}"

    def _take_map(self, value: str) -> None:
        found = _MAP.fullmatch(value)
        assert found, f"expected a URI, got {value!r}"
        assert not self.pieces, "expected the map before the first segment"
        length, offset = (int(found[2]), int(found[3])) if found[2] else (None, None)
        self.init = Piece(uri=found[1], offset=offset, length=length)

    def _take_part(self, value: str) -> None:
        found = _PART.fullmatch(value)
        assert found, f"expected a part, got {value!r}"
        assert "#EXT-X-PART-INF" in self.tags, "expected to know how long parts are"
        assert self._duration_s is None, "expected parts before what they are parts of"
        self._parts.append(Piece(uri=found[2], offset=None, length=None, duration_s=float(found[1])))

    def _check_parts(self, *, of_s: float | None) -> None:
        """RFC 8216bis, section 4.4.4.9: all but a segment's last are nearly as long as they may be."""
        target_s = float(self.tags["#EXT-X-PART-INF"].removeprefix("PART-TARGET=")) if self._parts else 0.0
        for number, part in enumerate(self._parts, 1):
            assert part.duration_s <= target_s
            assert part.duration_s >= 0.85 * target_s or (of_s is not None and number == len(self._parts))
        if of_s is not None and self._parts:
            assert abs(sum(part.duration_s for part in self._parts) - of_s) < 0.001

    def _take_uri(self, uri: str) -> None:
        assert self._duration_s is not None, f"expected #EXTINF before {uri}"
        assert self.init is not None or "#EXT-X-SKIP" in self.tags, (
            "expected the map before the first segment"
        )
        self._check_parts(of_s=self._duration_s)
        length, offset = self._range or (None, None)
        before = self.pieces[-1] if self.pieces else self.init
        # A playlist that begins later than its file (a clip, a trim) has its hole behind the map.
        begins_later = not self.pieces and int(self.tags.get("#EXT-X-MEDIA-SEQUENCE", "0")) > 0
        if (
            not begins_later
            and before is not None
            and offset is not None
            and before.offset is not None
            and before.length is not None
        ):
            assert offset == before.offset + before.length, f"expected no hole before byte {offset}"
        parts = tuple(self._parts)
        self.pieces.append(
            Piece(uri=uri, offset=offset, length=length, duration_s=self._duration_s, parts=parts)
        )
        self._duration_s = self._range = None
        self._parts.clear()

    def done(self) -> Playlist:
        assert self._duration_s is None, "expected a URI after the last #EXTINF"
        target_s = int(self.tags["#EXT-X-TARGETDURATION"])
        longest_s = max((piece.duration_s for piece in self.pieces), default=0.0)
        assert round(longest_s) <= target_s, f"expected at most {target_s} s a segment, got {longest_s}"
        assert int(self.tags["#EXT-X-VERSION"]) >= _LEAST_VERSION
        kind = self.tags.get("#EXT-X-PLAYLIST-TYPE")
        ended = "#EXT-X-ENDLIST" in self.tags
        assert kind in {None, "EVENT", "VOD"}
        assert kind != "VOD" or ended, "expected a VOD to have an end"
        number = self.tags.get("#EXT-X-MEDIA-SEQUENCE", "0")
        assert number.isdigit(), f"expected a number, got {number!r}"
        return Playlist(
            init=self.init,
            pieces=tuple(self.pieces),
            ended=ended,
            kind=kind,
            first_number=int(number),
            growing=tuple(self._parts),
            hint=self._check_low_latency(target_s, ended=ended),
            skipped=int(self.tags.get("#EXT-X-SKIP", "SKIPPED-SEGMENTS=0").removeprefix("SKIPPED-SEGMENTS=")),
        )

    def _check_low_latency(self, target_s: int, *, ended: bool) -> str | None:
        """RFC 8216bis, sections 4.4.3.7, 4.4.3.8 and 4.4.5.3; the name that the hint gives."""
        self._check_parts(of_s=None)
        if "#EXT-X-PART-INF" not in self.tags:
            assert not {"#EXT-X-SERVER-CONTROL", "#EXT-X-PRELOAD-HINT", "#EXT-X-SKIP"} & self.tags.keys()
            return None
        assert not ended, "expected no parts in what has ended"
        part_s = float(self.tags["#EXT-X-PART-INF"].removeprefix("PART-TARGET="))
        control = _CONTROL.fullmatch(self.tags["#EXT-X-SERVER-CONTROL"])
        assert control, f"expected what players may do, got {self.tags['#EXT-X-SERVER-CONTROL']!r}"
        assert part_s <= target_s
        assert float(control[1]) >= 3 * part_s
        assert float(control[2]) >= 6 * target_s
        assert int(self.tags["#EXT-X-VERSION"]) >= (9 if "#EXT-X-SKIP" in self.tags else _LEAST_VERSION)
        old = self.pieces[: -round(3 * target_s / 0.96) - 1]
        assert not any(piece.parts for piece in old), "expected parts near the end alone"
        hint = _HINT.fullmatch(self.tags["#EXT-X-PRELOAD-HINT"])
        assert hint, "expected a hint"
        named = [part.uri for piece in self.pieces for part in piece.parts] + [
            part.uri for part in self._parts
        ]
        assert hint[1] not in named, "expected a hint at what is not there yet"
        assert len(set(named)) == len(named)
        return hint[1]


def _agree(playlist: Playlist, other: m3u8.M3U8) -> None:
    # To that parser, parts without their segment are a segment without a name.
    segments = [segment for segment in other.segments if segment.uri]
    assert [segment.uri for segment in segments] == [piece.uri for piece in playlist.pieces]
    assert sum(segment.duration for segment in segments) == sum(piece.duration_s for piece in playlist.pieces)
    assert other.is_endlist == playlist.ended


async def fetch_playlist(town: Town, url: str) -> Playlist:
    """The playlist behind a link that must be good."""
    response = await town.fetch(url)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].partition(";")[0] == "application/vnd.apple.mpegurl"
    return read_playlist(response.text)


async def fetch_piece(town: Town, url: str, piece: Piece) -> bytes:
    """The bytes of one piece of the playlist at `url`, neither more nor less."""
    response = await town.fetch(urljoin(url, piece.uri), **piece.header)
    assert response.status_code == (206 if piece.header else 200), response.text
    assert piece.length in {None, len(response.content)}
    return response.content


async def play(town: Town, url: str) -> Signal:
    """Everything that the playlist names, from its first segment to its last."""
    playlist = await fetch_playlist(town, url)
    assert playlist.init is not None
    data = [await fetch_piece(town, url, piece) for piece in (playlist.init, *playlist.pieces)]
    return decode(b"".join(data))


def loudness_of(signal: Signal, *, frequency_hz: float) -> NDArray[np.float64]:
    """The amplitude of one tone over time, smoothed over 50 ms."""
    moments = np.arange(len(signal)) / SAMPLE_RATE_HZ
    beat = signal * np.exp(-2j * np.pi * frequency_hz * moments)
    length = round(_SMOOTHING_S * SAMPLE_RATE_HZ)
    running = np.concatenate([np.zeros(1), np.cumsum(beat)])
    middle = 2 * np.abs(running[length:] - running[:-length]) / length
    return np.pad(middle, (length // 2, len(signal) - len(middle) - length // 2))


def place_of_tone(signal: Signal, *, frequency_hz: float, level: float) -> tuple[float, float]:
    """When a tone of a level begins and when it is over, in seconds."""
    loud = np.flatnonzero(loudness_of(signal, frequency_hz=frequency_hz) > level / 2)
    assert len(loud), f"expected a tone of {frequency_hz} Hz, got none"
    return float(loud[0]) / SAMPLE_RATE_HZ, float(loud[-1]) / SAMPLE_RATE_HZ


def level_of_tone(signal: Signal, *, frequency_hz: float, reference: float, quantile: float = 0.5) -> float:
    """How loud a tone is against a reference amplitude, in dB: most of the time, or in its loudest part.

    A busy machine may hold up a live publisher for a moment; its level elsewhere is still to be right.
    """
    usual = float(np.quantile(loudness_of(signal, frequency_hz=frequency_hz), quantile))
    return 20 * float(np.log10(max(usual, 1e-9) / reference))


def between(signal: Signal, start_s: float, end_s: float) -> Signal:
    """A stretch of a signal."""
    return signal[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
