"""Two mutations as bare transactions behind an endpoint written by hand: what nobody can do with less.

`python -m benchmarks.mutation_by_hand FOLDER PORT [URL]` serves until it is ended. It signs people in as the product
does, looks whether the Space is theirs to change or to see, and writes the rows that the product writes, by the same
driver and in one transaction. It knows no other mutation, checks no text, wakes nobody and takes no other into account.
"""

import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tortoise.transactions import in_transaction

from api.graphql.protocol import server_options
from api.serve import QuietServer
from api.work import opened
from benchmarks.timeline_town import settings_of
from models.dialect import is_postgres
from models.fields import to_ms
from schema import ids
from services import accounts, search
from services.changes import new_id
from services.house import House
from services.viewers import Viewer

_EVENT = 'INSERT INTO "space_event" ("space_id","sequence","kind","at","of_recording","facts") VALUES (?,?,?,?,?,?)'
_CARD_EVENT = 'INSERT INTO "timeline_event" ("at","kind","item_id","author_id","host_id") VALUES (?,?,?,?,?)'
_CARD = """INSERT INTO "timeline_item"
  ("id","kind","author_id","host_id","space_id","comment","start_ms","is_public","created_at","activity_at")
  VALUES (?,?,?,?,?,?,?,?,?,?)"""


async def _run(connection: Any, sql: str, *values: Any) -> list[dict[str, Any]]:
    """One statement. Question marks become what PostgreSQL wants."""
    if is_postgres():
        numbers = iter(range(1, len(values) + 1))
        sql = re.sub(r"\?", lambda _found: f"${next(numbers)}", sql)
    found: list[dict[str, Any]] = await connection.execute_query_dict(sql, list(values))
    return found


async def _space(connection: Any, space_id: UUID) -> dict[str, Any]:
    lock = " FOR UPDATE" if is_postgres() else ""
    wanted = 'SELECT "host_id","state","event_sequence" FROM "space" WHERE "id" = ?'
    return (await _run(connection, wanted + lock, str(space_id)))[0]


async def update(house: House, viewer: Viewer, space_id: UUID, title: str) -> None:
    """Another title, its words for the search, its event, and its cards' events."""
    at, assured = to_ms(house.clock.now()), viewer.signed_in()
    words = search.keys(title, assured.handle)
    async with in_transaction() as connection:
        space = await _space(connection, space_id)
        assert UUID(str(space["host_id"])) == assured.id
        number, key = space["event_sequence"] + 1, str(space_id)
        await _run(
            connection,
            'UPDATE "space" SET "title" = ?, "event_sequence" = ? WHERE "id" = ?',
            title,
            number,
            key,
        )
        await _run(
            connection, 'DELETE FROM "search_word" WHERE "subject_id" = ? AND "kind" = ?', key, "SPACE"
        )
        marks = ",".join(["(?,?,?)"] * len(words))
        values = [one for word in words for one in ("SPACE", key, word)]
        await _run(
            connection,
            f'INSERT INTO "search_word" ("kind","subject_id","word") VALUES {marks}',
            *values,
        )
        await _run(connection, _EVENT, key, number, "UPDATED", at, False, "{}")
        cards = 'SELECT "id","author_id","host_id" FROM "timeline_item" WHERE "space_id" = ?'
        for card in await _run(connection, cards, key):
            await _run(connection, _CARD_EVENT, at, "CHANGED", card["id"], card["author_id"], card["host_id"])


async def share(house: House, viewer: Viewer, space_id: UUID, comment: str) -> UUID:
    """A card of its own, and its event."""
    at, me, card = to_ms(house.clock.now()), viewer.signed_in().id, new_id()
    async with in_transaction() as connection:
        space = await _space(connection, space_id)
        assert space["state"] != "CANCELED"
        host = str(space["host_id"])
        await _run(
            connection,
            _CARD,
            str(card),
            "SPACE_SHARED",
            str(me),
            host,
            str(space_id),
            comment,
            0,
            False,
            at,
            at,
        )
        await _run(connection, _CARD_EVENT, at, "ADDED", str(card), str(me), host)
    return card


async def _answer(house: House, request: Request) -> Response:
    given = orjson.loads(await request.body())["variables"]["input"]
    token = request.headers["authorization"].removeprefix("Bearer ")
    viewer = await accounts.authenticate(house, token, address="127.0.0.1")
    space_id = ids.read(given["spaceId"], "Space")
    if "title" in given:
        await update(house, viewer, space_id, given["title"])
        made = {"updateSpace": {"space": {"id": given["spaceId"], "title": given["title"]}, "errors": []}}
    else:
        card = ids.pack("TimelineItem", await share(house, viewer, space_id, given["comment"]))
        made = {"shareSpace": {"item": {"id": card, "comment": given["comment"]}, "errors": []}}
    return Response(orjson.dumps({"data": made}), media_type="application/json")


def serve(folder: Path, port: int, url: str) -> None:
    """Serve on a port of 127.0.0.1."""
    settings = settings_of(folder, url, port=port)
    houses: list[House] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with opened(settings) as house:
            houses.append(house)
            yield

    async def answer(request: Request) -> Response:
        return await _answer(houses[0], request)

    config = uvicorn.Config(
        Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=lifespan),
        host="127.0.0.1", port=port, loop="uvloop", log_config=None, access_log=False, lifespan="on",
        server_header=False, **server_options(settings.limits()),
    )  # fmt: skip
    QuietServer(config).run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
