"""The timeline as one would write it by hand for speed: an endpoint that gives this one answer and no other.

It signs people in as the product does, asks `services/visibility` whom to hide and what may be played, and signs
the same links. Everything on the cards comes in one statement with the page.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from tortoise.connection import get_connection

from models.fields import from_ms
from models.recording import RecordingStatus
from models.timeline_item import SHARE_KINDS
from models.timeline_page import followed_page
from schema.links import media_link
from services import accounts, cursors, playback, retention, visibility
from services.house import House
from services.links import LinkKind
from services.viewers import Viewer

_JOINED = """SELECT t.id, t.kind, t.created_at, t.activity_at, t.comment, t.start_ms, t.author_id,
  a.handle, a.name, a.avatar_digest, a.deleted_at, t.space_id, s.title, s.state, s.started_at, s.ended_at,
  s.participant_count, s.total_listener_count, s.host_id, h.handle AS h_handle, h.name AS h_name,
  h.avatar_digest AS h_avatar, h.deleted_at AS h_deleted, r.id AS r_id, r.status, r.duration_ms, r.expires_at,
  r.start_offset_ms, r.play_count, r.is_ticketed, r.lost_at
FROM ({page}) t JOIN account a ON a.id = t.author_id JOIN space s ON s.id = t.space_id
JOIN account h ON h.id = s.host_id LEFT JOIN recording r ON r.space_id = s.id
ORDER BY t.activity_at DESC, t.id DESC"""


@dataclass(slots=True)
class _Recording:
    """As much of a recording as decides whether it may be played."""

    id: UUID
    space_id: UUID
    status: RecordingStatus
    duration_ms: int
    expires_at: datetime | None
    is_ticketed: bool
    is_lost: bool


def _id(type_name: str, key: Any) -> str:
    return base64.urlsafe_b64encode(f"{type_name}:{key}".encode()).rstrip(b"=").decode()


def _time(ms: int | None) -> str | None:
    return None if ms is None else from_ms(ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def _person(house: House, key: Any, told: tuple[str, str, str | None, int | None]) -> Any:
    handle, name, digest, deleted = told
    if deleted is not None:
        return {"id": _id("User", key), "handle": "deleted", "name": "Deleted account", "avatarUrl": None}
    avatar = house.links.url(f"/avatars/{key}/{digest[:16]}.jpg") if digest else None
    return {"id": _id("User", key), "handle": handle, "name": name, "avatarUrl": avatar}


async def _recording(house: House, viewer: Viewer, now: datetime, row: Any) -> Any:
    if row["r_id"] is None:
        return None
    status, expires = RecordingStatus(row["status"]), row["expires_at"]
    lost = status is RecordingStatus.AVAILABLE and row["lost_at"] is not None
    found: Any = _Recording(
        UUID(str(row["r_id"])), UUID(str(row["space_id"])), status, row["duration_ms"],
        None if expires is None else from_ms(expires), bool(row["is_ticketed"]), lost,
    )  # fmt: skip
    admitted = not found.is_ticketed or bool(await visibility.admitted(viewer, [found.space_id]))
    may_play, link = visibility.may_play(found, now, admitted=admitted), None
    if may_play:
        signed = media_link(house, playback.recording_link(house, found, viewer, now, LinkKind.PLAYBACK))
        link = {
            "url": signed.url,
            "mimeType": signed.mime_type,
            "expiresAt": signed.expires_at.isoformat(timespec="milliseconds")[:-6] + "Z",
        }
    return {
        "id": _id("Recording", row["r_id"]), "status": retention.status_at(found, now),
        "durationMs": row["duration_ms"], "expiresAt": _time(expires),
        "startOffsetMs": row["start_offset_ms"], "playCount": row["play_count"], "viewerCanPlay": may_play,
        "playback": link,
    }  # fmt: skip


async def _card(house: House, viewer: Viewer, now: datetime, row: Any) -> Any:
    author = row["author_id"]
    return {
        "id": _id("TimelineItem", row["id"]), "kind": row["kind"], "createdAt": _time(row["created_at"]),
        "activityAt": _time(row["activity_at"]), "comment": row["comment"], "startMs": row["start_ms"],
        "url": house.links.url(f"/cards/{row['id']}"),
        "viewerCanDelete": str(author) == str(viewer.id) and row["kind"] in SHARE_KINDS,
        "author": _person(
            house, author, (row["handle"], row["name"], row["avatar_digest"], row["deleted_at"])
        ),
        "space": {
            "id": _id("Space", row["space_id"]), "title": row["title"], "state": row["state"],
            "startedAt": _time(row["started_at"]), "endedAt": _time(row["ended_at"]),
            "participantCount": row["participant_count"], "totalListenerCount": row["total_listener_count"],
            "host": _person(
                house, row["host_id"], (row["h_handle"], row["h_name"], row["h_avatar"], row["h_deleted"])
            ),
        },
        "recording": await _recording(house, viewer, now, row),
    }  # fmt: skip


async def timeline(house: House, request: Request) -> Response:
    """The newest cards of those whom the viewer follows."""
    first = orjson.loads(await request.body())["variables"]["first"]
    token = request.headers["authorization"].removeprefix("Bearer ")
    viewer = await accounts.authenticate(house, token, address="127.0.0.1")
    assert viewer.id is not None
    now, hidden = house.clock.now(), await visibility.hidden_from(viewer)
    page = followed_page(viewer.id, after=None, most=first + 1)
    rows = await get_connection("default").execute_query_dict(
        _JOINED.format(page=page.sql), list(page.values)
    )
    shown = [row for row in rows[:first] if UUID(str(row["host_id"])) not in hidden]
    last = shown[-1]
    data = {
        "edges": [{"node": await _card(house, viewer, now, row)} for row in shown],
        "pageInfo": {
            "hasNextPage": len(rows) > first,
            "endCursor": cursors.pack(["timeline_item", last["activity_at"], str(last["id"])]),
        },
    }
    return Response(orjson.dumps({"data": {"timeline": data}}), media_type="application/json")


def routes(house: Callable[[], House]) -> list[Route]:
    """The one route."""

    async def answer(request: Request) -> Response:
        return await timeline(house(), request)

    return [Route("/graphql", answer, methods=["POST"])]
