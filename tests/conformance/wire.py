"""Bytes to a port and what comes back, without a client's opinion of either."""

import contextlib
import re
import socket
import time

MOST_BYTES = 200_000
# After so long a silence no more is sent either: what waits for the rest of a request learns that none comes.
_QUIET_S = 0.25
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_CLOSE = 0x88


def said_to(port: int, *parts: bytes, hang_s: float) -> bytes:
    """What a server says, each part being sent once the one before was answered.

    Ends the connection only after the answer, which asyncio would not send to somebody who has ended it.
    Raises TimeoutError when the server keeps it open for `hang_s` after that.
    """
    told = b""
    with socket.create_connection(("127.0.0.1", port), timeout=_QUIET_S) as opened:
        for part in parts:
            with contextlib.suppress(ConnectionError):
                opened.sendall(part)
            told += _answer(opened)
        # Not connected: the server has ended it.
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + hang_s
        with contextlib.suppress(ConnectionError):
            opened.settimeout(hang_s)
            while len(told) < MOST_BYTES and (more := opened.recv(65_536)):
                told += more
                opened.settimeout(max(0.1, deadline - time.monotonic()))
    return told


def _answer(opened: socket.socket) -> bytes:
    """What comes until it is a whole answer, or nothing comes any more."""
    told = b""
    with contextlib.suppress(ConnectionError, TimeoutError):
        while not _is_whole(told) and (more := opened.recv(65_536)):
            told += more
    return told


def _is_whole(told: bytes) -> bool:
    if not told.startswith(b"HTTP/1.1 "):
        return bool(close_codes(told))
    head, end, body = told.partition(b"\r\n\r\n")
    length = _LENGTH.search(head + b"\r\n")
    size = int(length[1]) if length else 0
    is_short = length is not None or told.startswith(b"HTTP/1.1 101 ")
    return bool(end) and is_short and len(body) >= size


def close_codes(frames: bytes) -> list[int]:
    """The codes of the close frames among what a server sent on a WebSocket."""
    codes = []
    at = 0
    while at + 2 <= len(frames):
        opcode, size = frames[at], frames[at + 1]
        at += 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(frames[at : at + wide])
            at += wide
        if opcode == _CLOSE:
            codes.append(int.from_bytes(frames[at : at + 2]))
        at += size
    return codes
