"""Record a sound file as a Space and print where to play it: python record.py URL TOKEN TITLE FILE"""

import asyncio
import sys
from pathlib import Path

import httpx
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer

OPERATIONS = Path(__file__).parent / "operations"


class Api:
    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"})

    async def do(self, name: str, **fields: object) -> dict:
        body = {"query": (OPERATIONS / f"{name}.graphql").read_text(), "variables": {"input": fields}}
        answer = (await self.http.post(self.url, json=body)).json()
        if "errors" in answer:  # the request was wrong, or nobody is signed in
            raise SystemExit(answer["errors"][0]["message"])
        (payload,) = answer["data"].values()
        if payload["errors"]:  # the request was right, and the Space says no
            raise SystemExit(payload["errors"][0]["message"])
        return payload


async def publish(http: httpx.AsyncClient, whip_url: str, media_token: str, file: str) -> None:
    """WHIP (RFC 9725): one POST with an offer, one DELETE when all is said."""
    peer, said = RTCPeerConnection(), asyncio.Event()
    track = MediaPlayer(file).audio
    track.on("ended", said.set)
    peer.addTrack(track)
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {media_token}"}
    answer = await http.post(whip_url, content=peer.localDescription.sdp, headers=headers)
    answer.raise_for_status()
    await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    await said.wait()
    await http.delete(answer.url.join(answer.headers["Location"]), headers=headers)
    await peer.close()


async def main(url: str, token: str, title: str, file: str) -> None:
    api = Api(url, token)
    async with api.http:
        # Whether it is recorded is said before the launch; never after.
        space_id = (await api.do("CreateSpace", title=title, record=True))["space"]["id"]
        started = (await api.do("StartSpace", spaceId=space_id))["space"]
        print(started["state"], "recording" if started["isRecording"] else "not recorded", flush=True)
        joined = await api.do("JoinSpace", spaceId=space_id)
        await publish(api.http, joined["whipUrl"], joined["mediaToken"], file)
        # The recording is there with the answer: there is nothing to wait for.
        recording = (await api.do("EndSpace", spaceId=space_id))["space"]["recording"]
        print(recording["status"], recording["durationMs"], recording["playback"]["url"], flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
