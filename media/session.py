"""One WHIP or WHEP session: ICE, DTLS and SRTP by aiortc, its packets through a tap or an outlet."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Protocol

from aioice.ice import get_host_addresses
from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError

from media.engine import EngineError, OfferRefused
from media.ice import IceConfig
from media.offer import Offer, answer_for, canonical_offer
from media.outlet import PacketTrack, open_outlet
from media.port import Port, Ports, take_over
from media.returns import Listener
from media.tap import PacketSink, attach

log = logging.getLogger(__name__)

NEGOTIATION_TIMEOUT_S = 8.0
SETUP_TIMEOUT_NS = 30_000_000_000
# Peers are asked for consent every 5 s (RFC 7675), so even a silent one is heard by then.
LOST_AFTER_NS = 10_000_000_000

_STACK_ERRORS = (
    *(InternalError, InvalidAccessError, InvalidStateError, OperationError),
    *(ValueError, AssertionError, KeyError, AttributeError, IndexError, StopIteration),
)


def _is_local(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _addresses(config: IceConfig) -> tuple[list[str] | None, str | None]:
    """What to bind (None: what aioice finds) and what to advertise instead of it."""
    if config.address is None:
        # A machine without a network can still talk to itself.
        found = get_host_addresses(use_ipv4=True, use_ipv6=True)
        return (None if found else ["127.0.0.1"]), None
    if _is_local(config.address):
        return [config.address], None
    return ["::" if ":" in config.address else "0.0.0.0"], config.address


class _Line(Protocol):
    """A tap or an outlet."""

    @property
    def last_seen_ns(self) -> int: ...

    def close(self) -> None: ...


class Session:
    """Answers one offer and lives until `close`, or until the peer is gone.

    `on_connected` and `on_gone` are called once each, `on_gone` also if it never connected.
    """

    def __init__(
        self,
        *,
        session_id: str,
        config: IceConfig,
        monotonic_ns: Callable[[], int],
        on_connected: Callable[[], None],
        on_gone: Callable[[], None],
    ) -> None:
        self.session_id = session_id
        self.connected = False
        self._config = config
        self._monotonic_ns = monotonic_ns
        self._on_connected = on_connected
        self._on_gone = on_gone
        self._gone = False
        self._line: _Line | None = None
        self._connection: Any = None
        self._created_ns = monotonic_ns()
        servers = [RTCIceServer(urls=url) for url in config.servers]
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._peer.on("connectionstatechange", self._state_changed)

    async def answer(self, offer: Offer) -> str:
        """The SDP answer. Raises `OfferRefused` when the stack cannot go along with the offer."""
        try:
            async with asyncio.timeout(NEGOTIATION_TIMEOUT_S):
                return await self._negotiate(offer)
        except TimeoutError:
            raise EngineError(f"expected ICE candidates within {NEGOTIATION_TIMEOUT_S} s") from None
        except _STACK_ERRORS as error:
            log.info("session %s: offer refused by the stack", self.session_id, exc_info=error)
            raise OfferRefused("the offer cannot be negotiated") from error

    def _prepare(self, transceiver: RTCRtpTransceiver) -> None:
        """Before the stack answers."""

    def _open_line(self, transceiver: RTCRtpTransceiver, *, payload_type: int) -> _Line:
        """Once the stack has answered: where the packets go, or come from."""
        raise NotImplementedError

    async def _negotiate(self, offer: Offer) -> str:
        bind, advertised = _addresses(self._config)
        await self._peer.setRemoteDescription(RTCSessionDescription(canonical_offer(offer), "offer"))
        transceiver = self._peer.getTransceivers()[0]
        self._connection = transceiver.receiver.transport.transport._connection
        _gather_on(self._connection, addresses=bind, monotonic_ns=self._monotonic_ns)
        self._prepare(transceiver)
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        self._line = self._open_line(transceiver, payload_type=offer.payload_type)
        stack_answer = self._peer.localDescription.sdp
        if "a=candidate:" not in stack_answer:
            raise EngineError("no address for audio: set the ICE address")
        return answer_for(offer, stack_answer=stack_answer, advertised=advertised)

    def check(self, now_ns: int) -> None:
        """Notice a peer that never came, or went without a word. Call about once a second."""
        if self._gone:
            return
        since = self._line.last_seen_ns if self.connected and self._line else self._created_ns
        limit = LOST_AFTER_NS if self.connected else SETUP_TIMEOUT_NS
        if now_ns - since > limit:
            self._leave()

    def wait_in(self, ports: Ports) -> None:
        """From here on what comes is read when these ports are drained, where that can be."""
        for protocol in self._connection._protocols if self._connection is not None else ():
            if isinstance(protocol.transport, Port):
                protocol.transport.wait_in(ports)

    async def close(self) -> None:
        """End the session; nothing more is heard of it. Can be called twice."""
        self._leave()
        await self._peer.close()

    def _state_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected" and not self._gone and not self.connected:
            self.connected = True
            self._on_connected()
        elif state in ("failed", "closed"):
            self._leave()

    def _leave(self) -> None:
        if self._gone:
            return
        self._gone = True
        if self._line is not None:
            self._line.close()
        self._on_gone()


class PublishSession(Session):
    """WHIP: the peer's packets go into a sink."""

    def __init__(self, *, sink: PacketSink, **common: Any) -> None:
        super().__init__(**common)
        self._sink = sink

    def _open_line(self, transceiver: RTCRtpTransceiver, *, payload_type: int) -> _Line:
        return attach(
            transceiver.receiver,
            sink=self._sink,
            payload_type=payload_type,
            monotonic_ns=self._monotonic_ns,
        )


class ListenSession(Session):
    """WHEP: a listener's packets go to the peer."""

    def __init__(self, *, listener: Listener, **common: Any) -> None:
        super().__init__(**common)
        self._listener = listener
        self._track = PacketTrack()

    def _prepare(self, transceiver: RTCRtpTransceiver) -> None:
        transceiver.sender.replaceTrack(self._track)
        transceiver.direction = "sendonly"

    def _open_line(self, transceiver: RTCRtpTransceiver, *, payload_type: int) -> _Line:
        outlet = open_outlet(
            transceiver.sender,
            track=self._track,
            payload_type=payload_type,
            monotonic_ns=self._monotonic_ns,
        )
        self._listener.outlet = outlet
        return outlet


def _gather_on(connection: Any, *, addresses: list[str] | None, monotonic_ns: Callable[[], int]) -> None:
    """Make aioice gather on these addresses (it would leave out loopback), and take its sockets over."""
    gather = connection.get_component_candidates

    async def gather_on(**arguments: Any) -> Any:
        chosen = {"addresses": addresses} if addresses is not None else {}
        found = await gather(**{**arguments, **chosen})
        for protocol in connection._protocols:
            take_over(protocol, monotonic_ns=monotonic_ns)
        return found

    connection.get_component_candidates = gather_on
