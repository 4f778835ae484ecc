"""The least that a broadcast can be: `python -m benchmarks.shouter PORT uvicorn|bare`.

POST /shout sends its body to every WebSocket. `uvicorn`: an ASGI application that sends the text to one after another.
`bare`: the same server, which writes one ready frame to every transport: less cannot be done in Python.
"""

import asyncio
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_IN_A_ROW = 64


class Shouter:
    """An ASGI application."""

    def __init__(self, *, is_bare: bool) -> None:
        self._is_bare = is_bare
        self._sends: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One socket, or one shout."""
        if scope["type"] == "websocket":
            await self._listen(receive, send)
        elif scope["type"] == "http":
            body = b""
            while (message := await receive())["type"] == "http.request":
                body += message["body"]
                if not message.get("more_body"):
                    break
            await self._shout(body)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def _listen(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
        await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
        self._sends.append(send)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        self._sends.remove(send)

    async def _shout(self, body: bytes) -> None:
        text, frame = body.decode(), b"\x81\x7e" + len(body).to_bytes(2, "big") + body
        for number, send in enumerate(self._sends, start=1):
            if self._is_bare:
                send.__self__.transport.write(frame)
            else:
                await send({"type": "websocket.send", "text": text})
            if number % _IN_A_ROW == 0:
                await asyncio.sleep(0)


def main(port: str, kind: str) -> None:
    """Serve until killed."""
    config = uvicorn.Config(
        Shouter(is_bare=kind == "bare"),
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        lifespan="off",
        log_level="error",
        ws=WebSocketsSansIOProtocol,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
