"""Publishing by WHIP as a program does it: who may, where, and how much has been sent."""

import asyncio

import httpx
from aiortc import RTCPeerConnection

from tests.media.publisher import SAMPLE_RATE_HZ, Publisher
from tests.product.town import Person, Town

SDP = "application/sdp"


def began_s(publisher: Publisher) -> float:
    """When the first sample was sent, on the monotonic clock."""
    started_s = publisher.track._started_s
    assert started_s is not None
    return started_s


def sent_s(publisher: Publisher) -> float:
    """How much has been sent so far."""
    return publisher.track._sent_samples / SAMPLE_RATE_HZ


async def until_sent(publisher: Publisher, seconds: float) -> None:
    """Wait until so much has been sent."""
    while sent_s(publisher) < seconds:
        await asyncio.sleep(0.01)


async def ask_to_speak(guest: Person, host: Person, space_id: str) -> None:
    """A listener raises a hand and is made a speaker."""
    await guest.do("joinSpace", spaceId=space_id)
    await guest.do("raiseHand", spaceId=space_id, raised=True)
    await host.do("setParticipantRole", spaceId=space_id, userId=guest.id, role="SPEAKER")


async def acknowledge(guest: Person, space_id: str) -> None:
    """Go on after having been shown that the Space is recorded."""
    consent = (await guest.space(space_id, "consent { version }"))["consent"]
    await guest.do("acknowledgeRecording", spaceId=space_id, consentVersion=consent["version"])


async def whip_of(person: Person, space_id: str) -> tuple[str, str]:
    """Where somebody publishes, and with which token."""
    joined = await person.do("joinSpace", "whipUrl mediaToken", spaceId=space_id)
    return joined["whipUrl"], joined["mediaToken"]


async def offer() -> str:
    """An offer as a browser makes it."""
    peer = RTCPeerConnection()
    try:
        peer.addTransceiver("audio", direction="sendonly")
        await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)
    finally:
        await peer.close()


async def knock(
    town: Town, url: str, token: str | None, sdp: str | bytes, *, content_type: str | None = SDP
) -> httpx.Response:
    """One POST to a WHIP endpoint."""
    headers = {"Content-Type": content_type} if content_type else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return await town.http.post(url, content=sdp, headers=headers)
