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
# 320 ms, as long as sixteen ticks. A part is the shortest that can be played, and the most a crash may lose.
PART_FRAMES = 15
# Of whole parts: what a playlist lists, 960 ms.
FRAGMENT_FRAMES = 3 * PART_FRAMES
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


# Stands before the first part of each fragment, so that a file tells its fragments by itself.
_STYP = _box(b"styp", b"msdh", pack(">I", 0), b"msdhcmfs")


def fragment(frames: Sequence[bytes], *, sequence: int, start_frame: int) -> bytes:
    """As many parts as these frames need; `sequence` and `start_frame` are the first one's."""
    pieces = [frames[at : at + PART_FRAMES] for at in range(0, len(frames), PART_FRAMES)]
    parts = [
        part(
            piece,
            sequence=sequence + number,
            start_frame=start_frame + number * PART_FRAMES,
            begins=not number,
        )
        for number, piece in enumerate(pieces)
    ]
    return b"".join(parts)


def part(frames: Sequence[bytes], *, sequence: int, start_frame: int, begins: bool) -> bytes:
    """`moof` and `mdat` of AAC frames whose first begins at `start_frame` times 1024 samples.

    `begins` puts the mark of a fragment's first part before them.
    """
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
    media = [head, pack(f">{count}I", *sizes), pack(">I4s", 8 + sum(sizes), b"mdat"), *frames]
    return b"".join([_STYP, *media] if begins else media)


class Fragment(NamedTuple):
    """A stretch of the file that can be played behind the init segment: a fragment, or a part of one."""

    offset: int
    length: int
    frames: int

    @property
    def duration_s(self) -> float:
        return self.frames * FRAME_SAMPLES / TIMESCALE_HZ


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What of a file is whole. `frames` and `next_sequence` are where a next part goes on.

    The last fragment may have fewer parts than it was to have; whatever is written behind it begins another.
    """

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


def _read_part(data: memoryview, at: int, *, sequence: int, start_frame: int) -> Fragment | None:
    """The part at an offset, if every field is what we would have written."""
    head = _head_at(data, at)
    if len(data) < head + _HEAD.size:
        return None
    fields = _HEAD.unpack_from(data, head)
    moof_bytes, count = fields[0], fields[21]
    if not 0 < count <= PART_FRAMES or moof_bytes != _HEAD.size + 4 * count:
        return None
    traf_bytes = moof_bytes - 24
    wanted = (
        *(moof_bytes, b"moof", 16, b"mfhd", 0, sequence, traf_bytes, b"traf"),
        *(24, b"tfhd", _TFHD_FLAGS, TRACK_ID, FRAME_SAMPLES, 0),
        *(20, b"tfdt", 0x01000000, start_frame * FRAME_SAMPLES),
        *(20 + 4 * count, b"trun", _TRUN_FLAGS, count, moof_bytes + 8),
    )
    mdat = head + moof_bytes
    if fields != wanted or len(data) < mdat + 8:
        return None
    mdat_bytes = int.from_bytes(data[mdat : mdat + 4], "big")
    if bytes(data[mdat + 4 : mdat + 8]) != b"mdat" or len(data) < mdat + mdat_bytes:
        return None
    total = sum(Struct(f">{count}I").unpack(data[head + _HEAD.size : mdat]))
    return Fragment(at, mdat + mdat_bytes - at, count) if total + 8 == mdat_bytes else None


def _head_at(data: memoryview, at: int) -> int:
    """Where the `moof` of a part begins, behind a fragment's mark."""
    return at + len(_STYP) if bytes(data[at : at + len(_STYP)]) == _STYP else at


def scan(data: memoryview) -> Scan:
    """Read a file that may end anywhere. Never raises; stops at the first thing that is not ours."""
    at = init_bytes = _init_bytes(data)
    fragments: list[Fragment] = []
    frames = parts = 0
    while at:
        found = _read_part(data, at, sequence=parts + 1, start_frame=frames)
        if found is None or not (begins(data, found) or fragments):
            break
        if begins(data, found):
            fragments.append(found)
        else:
            fragments[-1] = joined(fragments[-1], found)
        frames += found.frames
        parts += 1
        at += found.length
    return Scan(
        init_bytes=init_bytes,
        fragments=tuple(fragments),
        whole_bytes=at,
        frames=frames,
        next_sequence=parts + 1,
    )


def begins(data: memoryview, found: Fragment) -> bool:
    """Whether a part is its fragment's first."""
    return _head_at(data, found.offset) != found.offset


def joined(first: Fragment, second: Fragment) -> Fragment:
    """Two neighbours as one."""
    return Fragment(first.offset, first.length + second.length, first.frames + second.frames)


def scan_parts(data: memoryview) -> list[Fragment]:
    """The whole parts of a stretch of a file, which must begin with one. Never raises."""
    parts: list[Fragment] = []
    at = sequence = start_frame = 0
    head = _head_at(data, 0)
    if len(data) >= head + _HEAD.size:
        fields = _HEAD.unpack_from(data, head)
        sequence, start_frame = fields[5], fields[17] // FRAME_SAMPLES
    while True:
        found = _read_part(data, at, sequence=sequence, start_frame=start_frame)
        if found is None:
            return parts
        parts.append(found)
        at, sequence, start_frame = at + found.length, sequence + 1, start_frame + found.frames


_TIME_AT = 68  # in the head, behind `tfdt`
_TIME = Struct(">Q")


def shift_times(data: bytearray, *, frames: int) -> None:
    """Let every part of a stretch of a file, which must begin with one, be so many frames later."""
    view = memoryview(data)
    for found in scan_parts(view):
        at = _head_at(view, found.offset) + _TIME_AT
        (time,) = _TIME.unpack_from(data, at)
        _TIME.pack_into(data, at, time + frames * FRAME_SAMPLES)
