"""Ogg Opus (RFC 3533, RFC 7845): pages of whole packets, and where a file that was torn is whole."""

import mmap
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from struct import Struct

from media.opus import SAMPLE_RATE_HZ

_HEADER = Struct("<4sBBqIIIB")
_CAPTURE = b"OggS"
_CRC_AT = 22
_BEGIN = 0x02
_END = 0x04
MAX_SEGMENTS = 255
_HEAD = Struct("<8sBBHIhB")
_TAGS = b"OpusTags" + Struct("<I6sI").pack(6, b"Spaces", 0)
# Bits of a byte in reverse: Ogg's checksum is CRC-32 with its bits in the other order than zlib's.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> int:
    """CRC-32 as Ogg has it: polynomial 0x04c11db7, begun with 0, not reflected."""
    reflected = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED), "big")


def page(packets: Sequence[bytes], *, serial: int, number: int, samples: int, end: bool = False) -> bytes:
    """One page; `samples` is the position behind its last packet."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    flags = (_BEGIN if number == 0 else 0) | (_END if end else 0)
    header = _HEADER.pack(_CAPTURE, 0, flags, samples, serial, number, 0, len(lacing))
    whole = b"".join([header, lacing, *packets])
    return whole[:_CRC_AT] + checksum(whole).to_bytes(4, "little") + whole[_CRC_AT + 4 :]


def segments(packet: bytes) -> int:
    """How many of a page's 255 segments a packet takes."""
    return len(packet) // 255 + 1


def opening(*, serial: int) -> bytes:
    """The two pages before the sound: mono, at the packets' own level, nothing skipped."""
    head = _HEAD.pack(b"OpusHead", 1, 1, 0, SAMPLE_RATE_HZ, 0, 0)
    first = page([head], serial=serial, number=0, samples=0)
    return first + page([_TAGS], serial=serial, number=1, samples=0)


def whole_bytes(path: Path) -> int:
    """How much of a file is whole pages; 0 without any behind the two that open it. Blocks on the disk.

    Only the last page's checksum is looked at: what lies before it was whole when that was written.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < _HEADER.size:
            return 0
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _whole_bytes(data)


def _whole_bytes(data: mmap.mmap) -> int:
    at = pages = 0
    while (end := _page_end(data, at)) is not None:
        if _page_end(data, end) is None and not _is_sound(data[at:end]):
            break
        at, pages = end, pages + 1
    return at if pages > 2 else 0


def _page_end(data: mmap.mmap, at: int) -> int | None:
    if len(data) < at + _HEADER.size or data[at : at + 4] != _CAPTURE:
        return None
    count = data[at + _HEADER.size - 1]
    lacing = data[at + _HEADER.size : at + _HEADER.size + count]
    end = at + _HEADER.size + count + sum(lacing)
    return end if len(lacing) == count and end <= len(data) else None


def _is_sound(whole: bytes) -> bool:
    bare = whole[:_CRC_AT] + bytes(4) + whole[_CRC_AT + 4 :]
    return checksum(bare).to_bytes(4, "little") == whole[_CRC_AT : _CRC_AT + 4]
