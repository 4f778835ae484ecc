"""Datagrams on their way into the WebRTC stack, which falls over some of them.

aioice raises what Python raises where a STUN attribute is shorter than its type (`struct.error`), and
asyncio closes the socket of a protocol that raises: anybody could end a session with one datagram.
"""

import struct
from collections.abc import Callable
from typing import Any

_FALLS = (struct.error, ValueError, LookupError, TypeError, AttributeError, AssertionError)

Receive = Callable[[bytes, tuple[Any, ...]], None]


class Onwards:
    """Hands datagrams on. `refused` counts those that the stack fell over."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.refused = 0

    def __call__(self, data: bytes, address: tuple[Any, ...]) -> None:
        if not data:  # aiortc looks at the first byte
            return
        try:
            self._receive(data, address)
        except _FALLS:
            self.refused += 1
