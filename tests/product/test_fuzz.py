"""Nonsense by HTTP and by UDP, also from who may publish: the server goes on, and others are heard as before."""

import asyncio
import contextlib
import random
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pylibsrtp
import pytest
import pytest_asyncio
from aioice import stun
from aiortc import rtp

from tests.media.hearer import Hearer
from tests.media.publisher import Publisher, tone
from tests.product.process import ServedTown, children_of, served_town
from tests.product.town import Person, Place
from tests.product.whip import offer

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE_BYTES = 4096
MOST_GROWTH_BYTES = 24 * 1024 * 1024
# So many packets, and then a pause in which the others of this loop are heard.
AT_ONCE = 20
PAUSE_S = 0.01
LOADED_S = 60.0
EXTREMES = ("0", "-1", "65536", "4294967296", "9" * 40, "", "\0", "é", "%s", "a" * 5000)

FRAGMENT = """a=ice-ufrag:{ufrag}\r
a=ice-pwd:pppppppppppppppppppppp\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
a=mid:0\r
a=candidate:1 1 UDP 2130706431 192.0.2.1 3500 typ host\r
a=end-of-candidates\r
"""


def mutated(text: str, chance: random.Random) -> str:
    """An SDP with one to four things wrong."""
    lines = text.splitlines()
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(lines))
        line = lines[at]
        match chance.randrange(7):
            case 0:
                del lines[at]
            case 1:
                lines.insert(chance.randrange(len(lines)), line)
            case 2:
                lines[at] = re.sub(r"\d+", lambda _: chance.choice(EXTREMES), line, count=1)
            case 3:
                lines[at] = line[: chance.randint(0, len(line))]
            case 4:
                lines[at] = line.replace(":", chance.choice(EXTREMES), 1)
            case 5:
                lines += lines[at : at + 20] * chance.randint(1, 20)
            case _:
                characters = list(line) or ["x"]
                characters[chance.randrange(len(characters))] = chr(chance.randrange(0x250))
                lines[at] = "".join(characters)
        lines = lines or ["v=0"]
    return chance.choice(["\r\n", "\n"]).join(lines)


def bent(packet: bytes, chance: random.Random) -> bytes:
    """Bytes with some of them changed, cut off, or added."""
    data = bytearray(packet)
    for _ in range(chance.randint(0, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    match chance.randrange(4):
        case 0:
            del data[chance.randint(0, len(data)) :]
        case 1:
            data += chance.randbytes(chance.randint(0, 200))
    return bytes(data)


def rtp_packet(chance: random.Random, number: int) -> bytes:
    """Mostly what an Opus sender might send, with a field or two of its own invention."""
    packet = rtp.RtpPacket(
        payload_type=chance.choice([96, 96, 96, 111, 0, 127]),
        marker=chance.randrange(2),
        sequence_number=chance.choice([number & 0xFFFF, chance.randrange(0x10000)]),
        timestamp=chance.choice([number * 960 & 0xFFFFFFFF, chance.randrange(2**32)]),
        ssrc=chance.choice([1, 2, chance.randrange(2**32)]),
        payload=chance.randbytes(chance.choice([0, 1, 2, 3, 80, 1200])),
    )
    packet.csrc = [chance.randrange(2**32) for _ in range(chance.choice([0, 0, 1, 15]))]
    data = bytearray(packet.serialize())
    if chance.random() < 0.5:
        data[0] = 0x80 | chance.randrange(0x40)  # padding, extension and CSRCs that are not there
    return bytes(data)


def rtcp_packet(chance: random.Random) -> bytes:
    """Reports, goodbyes and feedback, some of them whole."""
    ssrc = chance.choice([1, chance.randrange(2**32)])
    kinds = [
        bytes(rtp.RtcpByePacket(sources=[ssrc] * chance.randint(1, 4))),
        bytes(rtp.RtcpRtpfbPacket(fmt=1, ssrc=ssrc, media_ssrc=ssrc, lost=[1, 2, 40])),
        bytes(rtp.RtcpPsfbPacket(fmt=15, ssrc=ssrc, media_ssrc=0, fci=chance.randbytes(20))),
        bytes(rtp.RtcpRrPacket(ssrc=ssrc)),
        bytes(rtp.RtcpSdesPacket(chunks=[rtp.RtcpSourceInfo(ssrc=ssrc, items=[(1, b"me")])])),
    ]
    data = b"".join(chance.sample(kinds, chance.randint(1, 3)))
    return data if chance.random() < 0.3 else data[:8] + bent(data[8:] or b"\0", chance)


def stun_message(chance: random.Random, place: "Target") -> bytes:
    """Checks as ICE sends them, with wrong or with right credentials, and bent ones."""
    message = stun.Message(message_method=stun.Method.BINDING, message_class=chance.choice(list(stun.Class)))
    message.attributes["USERNAME"] = chance.choice([f"{place.ufrag}:{place.own_ufrag}", "a:b", "", ":" * 400])
    message.attributes["PRIORITY"] = chance.randrange(2**32)
    if chance.random() < 0.5:
        message.attributes[chance.choice(["ICE-CONTROLLING", "ICE-CONTROLLED"])] = chance.randrange(2**64)
    if chance.random() < 0.3:
        message.attributes["USE-CANDIDATE"] = None
    if chance.random() < 0.5:
        message.add_message_integrity(place.password.encode() if chance.random() < 0.5 else b"wrong")
    data = bytes(message)
    return data if chance.random() < 0.3 else bent(data, chance)


@dataclass
class Target:
    """A session that is fuzzed, and what its SDP says of it."""

    publisher: Publisher
    port: int
    ufrag: str
    password: str
    own_ufrag: str

    async def send(self, data: bytes) -> None:
        """From the peer's own socket, past its encryption."""
        with contextlib.suppress(ConnectionError):
            await self._dtls.transport._send(data)

    async def send_rtp(self, data: bytes) -> None:
        with contextlib.suppress(pylibsrtp.Error):
            await self.send(self._dtls._tx_srtp.protect(data))

    async def send_rtcp(self, data: bytes) -> None:
        with contextlib.suppress(pylibsrtp.Error):
            await self.send(self._dtls._tx_srtp.protect_rtcp(data))

    @property
    def _dtls(self) -> Any:
        return self.publisher._peer.getTransceivers()[0].sender.transport


async def open_target(place: Place) -> Target:
    """A session as every publisher has one."""
    publisher = Publisher(np.zeros(48_000, np.float32))
    descriptions: list[str] = []

    async def exchange(sdp: str) -> str:
        answer = await place.town.http.post(place.whip_url, content=sdp, headers=place.headers)
        assert answer.status_code == 201, answer.text
        descriptions.extend((sdp, answer.text))
        return answer.text

    def fact(text: str, name: str) -> str:
        return str(re.findall(rf"a={name}:(\S+)", text)[0])

    await publisher.start(exchange)
    own, answered = descriptions
    (port, *_) = re.findall(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+) ", answered)
    return Target(
        publisher, int(port), fact(answered, "ice-ufrag"), fact(answered, "ice-pwd"), fact(own, "ice-ufrag")
    )


@dataclass
class Stage:
    """A talk that is to be heard all the time, and beside it a Space of somebody who means no good."""

    town: ServedTown
    hearer: Hearer
    bad: Person
    bad_space: str

    def used_bytes(self) -> int:
        """By the server and its media process."""
        pids = [self.town.server.pid, *children_of(self.town.server.pid)]
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES for pid in pids)

    async def endures(self, number: int, once: Callable[[int], Awaitable[None]]) -> None:
        """Do something so many times; memory may grow in the first third, as whatever is used first is loaded."""
        pids = children_of(self.town.server.pid)
        begin_bytes = 0
        for at in range(number):
            await once(at)
            if at % AT_ONCE == 0:
                await asyncio.sleep(PAUSE_S)
            if at == number // 3:
                begin_bytes = self.used_bytes()
        grown_bytes = self.used_bytes() - begin_bytes
        print(f"{number} times: {grown_bytes / 1024 / 1024:+.1f} MB in the last two thirds")
        assert grown_bytes < MOST_GROWTH_BYTES
        assert children_of(self.town.server.pid) == pids, "expected the media process that there was"
        assert await self.hearer.hears(440, within_s=LOADED_S)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with served_town(tmp_path_factory.mktemp("fuzz")) as town:
        host, guest, bad = [await town.person() for _ in range(3)]
        space = await host.live_space(record=True)
        await guest.speak_in(space, host)
        hearer = await (await guest.join(space)).listen()
        place = await host.join(space)
        publisher = await place.publish(tone(frequency_hz=440, seconds=1), repeat=True)
        assert await hearer.hears(440, within_s=LOADED_S)
        yield Stage(town, hearer, bad, await bad.live_space(record=True))
        assert (await host.recording(space, "gaps { startMs }"))["gaps"] == []
        await publisher.close()
        await hearer.close()


NUMBERS = [120, pytest.param(10_000, marks=pytest.mark.long)]


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("number", NUMBERS)
async def test_any_sdp_is_answered_or_refused(stage: Stage, number: int) -> None:
    chance = random.Random(1)
    place = await stage.bad.join(stage.bad_space)
    good = await offer()
    statuses: dict[int, int] = {}

    async def once(at: int) -> None:
        listens = at % 4 == 3
        text = mutated(good.replace("sendonly", "recvonly") if listens else good, chance)
        url = place.whep_url if listens else place.whip_url
        answer = await stage.town.http.post(
            url, content=text.encode("utf-8", "replace"), headers=place.headers
        )
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert answer.status_code == 201 or 400 <= answer.status_code < 500, (answer.status_code, text)
        if answer.status_code == 201:
            session = urljoin(url, answer.headers["location"])
            fragment = mutated(FRAGMENT.format(ufrag=chance.choice(["abcd", "x" * 300])), chance)
            headers = {
                **place.headers,
                "Content-Type": "application/trickle-ice-sdpfrag",
                "If-Match": chance.choice([answer.headers["etag"], "*", '"x"']),
            }
            patched = await stage.town.http.patch(
                session, content=fragment.encode("utf-8", "replace"), headers=headers
            )
            assert patched.status_code == 204 or 400 <= patched.status_code < 500, fragment
            assert (await stage.town.http.delete(session, headers=place.headers)).status_code == 200

    await stage.endures(number, once)
    print(statuses)
    assert statuses[201] > 0
    assert statuses[400] > 0


@contextlib.contextmanager
def stranger() -> Iterator[socket.socket]:
    """A socket that belongs to no session."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setblocking(False)
        yield opened


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("kind", ["RTP", "RTCP", "STUN"])
async def test_any_packet_is_taken_or_dropped(stage: Stage, kind: str, number: int) -> None:
    chance = random.Random(2)
    target = await open_target(await stage.bad.join(stage.bad_space))

    async def once(at: int) -> None:
        match kind:
            case "RTP":
                packet = rtp_packet(chance, at)
                await target.send_rtp(packet)
            case "RTCP":
                packet = rtcp_packet(chance)
                await target.send_rtcp(packet)
            case _:
                packet = stun_message(chance, target)
                await target.send(packet)
        # And something like it without encryption, from somewhere else each time.
        with stranger() as opened, contextlib.suppress(BlockingIOError):
            opened.sendto(bent(packet or b"\0", chance), ("127.0.0.1", target.port))

    await stage.endures(number, once)
    again = await stage.bad.publish(stage.bad_space, tone(frequency_hz=440, seconds=1))
    await again.play_to_end()
    for publisher in (target.publisher, again):
        await publisher.close()
