"""Fragmented MP4 for one AAC track: what we write, and a strict reader of just that.

ISO/IEC 14496-12 (boxes), 14496-14 (`esds`), 23000-19 (CMAF). PyAV's muxer is not used: it writes the
encoder's priming into the timeline, and cannot go on in a file that another process began.
The fragment's layout is fixed, so a reader can check every field at a known offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct, pack
from typing import NamedTuple

TIMESCALE_HZ = 48_000
FRAME_SAMPLES = 1024
FRAGMENT_FRAMES = 46  # 0.981 s: what a crash may lose
TRACK_ID = 1


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return pack(">I4s", 8 + len(body), kind) + body


def _full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, pack(">I", version << 24 | flags), *parts)


def _descriptor(tag: int, body: bytes) -> bytes:
    return pack(">BBBBB", tag, 0x80, 0x80, 0x80, len(body)) + body


_MATRIX = pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _sample_entry(*, audio_config: bytes, bit_rate: int) -> bytes:
    decoder_config = pack(">BBBHII", 0x40, 0x15, 0, 0, bit_rate, bit_rate) + _descriptor(5, audio_config)
    elementary = pack(">HB", TRACK_ID, 0) + _descriptor(4, decoder_config) + _descriptor(6, b"\x02")
    return _box(
        b"mp4a",
        pack(">6xH8xHH4xI", 1, 1, 16, TIMESCALE_HZ << 16),
        _full_box(b"esds", _descriptor(3, elementary)),
    )


def init_segment(*, audio_config: bytes, bit_rate: int) -> bytes:
    """`ftyp` and `moov` of a mono AAC track without samples of its own."""
    sample_table = _box(
        b"stbl",
        _full_box(b"stsd", pack(">I", 1), _sample_entry(audio_config=audio_config, bit_rate=bit_rate)),
        _full_box(b"stts", pack(">I", 0)),
        _full_box(b"stsc", pack(">I", 0)),
        _full_box(b"stsz", pack(">II", 0, 0)),
        _full_box(b"stco", pack(">I", 0)),
    )
    data_reference = _box(b"dinf", _full_box(b"dref", pack(">I", 1), _full_box(b"url ", flags=1)))
    media = _box(
        b"mdia",
        _full_box(b"mdhd", pack(">IIIIHH", 0, 0, TIMESCALE_HZ, 0, 0x55C4, 0)),
        _full_box(b"hdlr", pack(">I4s12x", 0, b"soun"), b"SoundHandler\0"),
        _box(b"minf", _full_box(b"smhd", pack(">HH", 0, 0)), data_reference, sample_table),
    )
    track_header = _full_box(
        b"tkhd",
        pack(">IIIII8xhhhH", 0, 0, TRACK_ID, 0, 0, 0, 0, 0x100, 0),
        _MATRIX,
        pack(">II", 0, 0),
        flags=7,
    )
    movie_header = _full_box(
        b"mvhd", pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x100), _MATRIX, pack(">24xI", TRACK_ID + 1)
    )
    extends = _box(b"mvex", _full_box(b"trex", pack(">IIIII", TRACK_ID, 1, FRAME_SAMPLES, 0, 0x02000000)))
    movie = _box(b"moov", movie_header, _box(b"trak", track_header, media), extends)
    return _box(b"ftyp", b"iso6", pack(">I", 0), b"iso6cmfcmp41") + movie


# moof, mfhd, traf, tfhd, tfdt and trun up to the list of sample sizes.
_HEAD = Struct(">I4s I4sII I4s I4sIIII I4sIQ I4sIII")
_TFHD_FLAGS = 0x020000 | 0x08 | 0x10  # default-base-is-moof, default duration, default size
_TRUN_FLAGS = 0x000201  # data offset, sample sizes


def fragment(frames: Sequence[bytes], *, sequence: int, start_frame: int) -> bytes:
    """`moof` and `mdat` of AAC frames whose first begins at `start_frame` times 1024 samples."""
    count = len(frames)
    sizes = [len(frame) for frame in frames]
    trun_bytes = 20 + 4 * count
    traf_bytes = 8 + 24 + 20 + trun_bytes
    moof_bytes = 8 + 16 + traf_bytes
    head = _HEAD.pack(
        *(moof_bytes, b"moof"),
        *(16, b"mfhd", 0, sequence),
        *(traf_bytes, b"traf"),
        *(24, b"tfhd", _TFHD_FLAGS, TRACK_ID, FRAME_SAMPLES, 0),
        *(20, b"tfdt", 0x01000000, start_frame * FRAME_SAMPLES),
        *(trun_bytes, b"trun", _TRUN_FLAGS, count, moof_bytes + 8),
    )
    return b"".join([head, pack(f">{count}I", *sizes), pack(">I4s", 8 + sum(sizes), b"mdat"), *frames])


class Fragment(NamedTuple):
    """A `moof` with its `mdat` in the file."""

    offset: int
    length: int
    frames: int

    @property
    def duration_s(self) -> float:
        return self.frames * FRAME_SAMPLES / TIMESCALE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What of a file is whole. `frames` and `next_sequence` are where a next fragment goes on."""

    init_bytes: int
    fragments: tuple[Fragment, ...]
    whole_bytes: int
    frames: int
    next_sequence: int


def _init_bytes(data: memoryview) -> int:
    """Length of `ftyp` and `moov`, 0 when they are not whole."""
    at = 0
    for expected in (b"ftyp", b"moov"):
        if len(data) < at + 8 or bytes(data[at + 4 : at + 8]) != expected:
            return 0
        size = int.from_bytes(data[at : at + 4], "big")
        if not 8 <= size <= 4096 or at + size > len(data):
            return 0
        at += size
    return at


def _read_fragment(data: memoryview, at: int, *, sequence: int, start_frame: int) -> Fragment | None:
    """The fragment at an offset, if every field is what we would have written."""
    if len(data) < at + _HEAD.size:
        return None
    fields = _HEAD.unpack_from(data, at)
    moof_bytes, count = fields[0], fields[21]
    if not 0 < count <= 4 * FRAGMENT_FRAMES or moof_bytes != _HEAD.size + 4 * count:
        return None
    traf_bytes = moof_bytes - 24
    wanted = (
        *(moof_bytes, b"moof", 16, b"mfhd", 0, sequence, traf_bytes, b"traf"),
        *(24, b"tfhd", _TFHD_FLAGS, TRACK_ID, FRAME_SAMPLES, 0),
        *(20, b"tfdt", 0x01000000, start_frame * FRAME_SAMPLES),
        *(20 + 4 * count, b"trun", _TRUN_FLAGS, count, moof_bytes + 8),
    )
    if fields != wanted or len(data) < at + moof_bytes + 8:
        return None
    mdat_bytes = int.from_bytes(data[at + moof_bytes : at + moof_bytes + 4], "big")
    length = moof_bytes + mdat_bytes
    if bytes(data[at + moof_bytes + 4 : at + moof_bytes + 8]) != b"mdat" or len(data) < at + length:
        return None
    sizes = memoryview(data[at + _HEAD.size : at + moof_bytes])
    total = sum(Struct(f">{count}I").unpack(sizes))
    return Fragment(at, length, count) if total + 8 == mdat_bytes else None


def scan(data: memoryview) -> Scan:
    """Read a file that may end anywhere. Never raises; stops at the first thing that is not ours."""
    at = init_bytes = _init_bytes(data)
    fragments: list[Fragment] = []
    frames = 0
    while at:
        found = _read_fragment(data, at, sequence=len(fragments) + 1, start_frame=frames)
        if found is None:
            break
        fragments.append(found)
        frames += found.frames
        at += found.length
    return Scan(
        init_bytes=init_bytes,
        fragments=tuple(fragments),
        whole_bytes=at,
        frames=frames,
        next_sequence=len(fragments) + 1,
    )
