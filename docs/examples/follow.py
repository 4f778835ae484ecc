"""Open a Space and print what happens in it, through whatever breaks: python follow.py URL TOKEN TITLE"""

import asyncio
import json
import sys
import uuid
from pathlib import Path

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

OPERATIONS = Path(__file__).parent / "operations"


def operation(name: str, **variables: object) -> dict:
    return {"query": (OPERATIONS / f"{name}.graphql").read_text(), "variables": variables}


async def create_space(url: str, token: str, title: str) -> str:
    # However often this is sent, one Space is made: the key is of the wish, not of the request.
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
    body = operation("CreateSpace", input={"title": title})
    transport = httpx.AsyncHTTPTransport(retries=3)
    async with httpx.AsyncClient(headers=headers, transport=transport) as http:
        for _ in range(2):  # as if the first answer had been lost
            answer = (await http.post(url, json=body)).raise_for_status().json()
    payload = answer["data"]["createSpace"]
    if payload["errors"]:
        raise SystemExit(payload["errors"][0]["message"])
    return payload["space"]["id"]


def event_of(payload: dict) -> dict:
    if payload.get("errors"):
        raise SystemExit(payload["errors"][0]["message"])
    return payload["data"]["spaceUpdates"]


async def follow(url: str, token: str, space_id: str) -> None:
    after = None
    socket_url = url.replace("http", "ws", 1)
    # `connect` as an iterator connects again, with growing pauses, whenever the connection is lost.
    async for socket in connect(socket_url, subprotocols=["graphql-transport-ws"]):
        try:
            hello = {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
            await socket.send(json.dumps(hello))
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "connection_ack":
                    wanted = operation("SpaceUpdates", spaceId=space_id, after=after)
                    await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": wanted}))
                elif message["type"] == "ping":
                    await socket.send('{"type": "pong"}')
                elif message["type"] == "error":
                    raise SystemExit(message["payload"][0]["message"])
                elif message["type"] == "next":
                    event = event_of(message["payload"])
                    after = event["cursor"]  # from here on after a break: nothing lost, nothing twice
                    print(event["kind"], event["space"]["title"], event["space"]["state"], flush=True)
                    if event["space"]["state"] in ("ENDED", "CANCELED"):
                        return
        except ConnectionClosed as closed:
            if (
                closed.rcvd and 4400 <= closed.rcvd.code < 4500
            ):  # the server will not have it: 4403, no such session
                raise SystemExit(f"{closed.rcvd.code} {closed.rcvd.reason}") from None
            await asyncio.sleep(0.2)


async def main(url: str, token: str, title: str) -> None:
    space_id = await create_space(url, token, title)
    print(space_id, flush=True)
    await follow(url, token, space_id)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
