"""What the retention machine stands on: the services, a database, a folder, the media routes, and who takes part."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
from starlette.applications import Starlette

from api.answers import HANDLERS
from api.engine import EngineRun, WatchedEngine
from api.indexes import Indexes
from api.live import LiveRoutes
from api.media import MediaRoutes
from api.running import build_house
from models import database
from models.account import Account
from models.audit_entry import AuditEntry
from models.purge_receipt import PurgeReceipt
from models.recording import Recording
from models.space import Platform
from services import playback, spaces
from services.changes import new_id
from services.links import Link, LinkKind
from services.viewers import Viewer
from tests.product.databases import databases
from tests.product.quiet_engine import QuietEngine
from tests.product.retention_model import Known
from tests.product.town import MovableClock, settings_for

T = TypeVar("T")
START = datetime(2027, 3, 1, 12, tzinfo=UTC)
_FOR_EVER = timedelta(days=1000)
GONE_NAMES = {"EXPIRED", "DELETED", "TAKEN_DOWN"}
# Where a link of each kind leads, and every file behind it.
_ROUTES = {
    LinkKind.LIVE: ("live", ("index.m3u8", "programme.mp4")),
    LinkKind.PLAYBACK: ("recordings", ("index.m3u8", "programme.mp4")),
    LinkKind.DOWNLOAD: ("downloads", ("programme.mp4",)),
    LinkKind.ARCHIVE: ("archives", ("recording.zip",)),
    LinkKind.REVIEW: ("review", ("index.m3u8", "programme.mp4")),
}


async def _run(engine: QuietEngine) -> EngineRun:
    return EngineRun(engine, engine.aclose)


class Stage:
    """Everything real beneath the machine."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="retention-"))
        self.clock = MovableClock()
        self.clock.stand_at(START)
        quiet = QuietEngine(self.clock)
        # It outlives restarts: what a lost one costs is for other tests.
        self.engine = WatchedEngine(partial(_run, quiet))
        self.days = (30, 30)
        self.known: list[Known] = []

    def run_(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    async def begin(self) -> None:
        """A fresh server, a moderator and a listener."""
        await self.engine.start()
        await self.start()
        self.moderator = Viewer(account=await self._account(is_moderator=True))
        self.listener = Viewer(account=await self._account())

    async def start(self) -> None:
        """A server over what there is."""

        public_days, review_days = self.days
        wanted = settings_for(self.folder, 1, public_days=public_days, review_days=review_days)
        house = build_house(wanted, clock=self.clock, engine=self.engine)
        # Spaces end when they are told to: that they also do so by themselves is for other tests.
        self.house = replace(house, rules=replace(house.rules, empty_for=_FOR_EVER, longest_space=_FOR_EVER))
        await database.connect(wanted.database)
        await self.house.policies.adopt(self.now)
        # The media routes as they are served, without the schema, which takes long to build.
        indexes = Indexes()
        recorded = MediaRoutes(self.house, indexes)
        routes = [*recorded.routes(), *LiveRoutes(self.house, indexes, recorded).routes()]
        app = Starlette(routes=routes, exception_handlers=HANDLERS)
        transport = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1")

    async def _account(self, **more: Any) -> Account:
        key = new_id()
        return await Account.create(
            id=key, handle=key.hex[:20], handle_key=key.hex[:20], name="N", password_hash="x",
            created_at=self.now, **more,
        )  # fmt: skip

    def close(self) -> None:
        """End all, and leave nothing."""
        if hasattr(self, "house"):
            self.run_(self.http.aclose())
            self.run_(database.close())
        self.runner.close()
        databases.forget(self.folder)
        shutil.rmtree(self.folder)

    async def restart(self) -> None:
        """End the server, and start one again."""
        await self.http.aclose()
        await database.close()
        await self.start()

    async def record_one(self) -> None:
        """Somebody new begins a Space that is recorded."""
        host = Viewer(account=await self._account())
        space = await spaces.create(self.house, host, spaces.NewSpace(title="A talk", record=True))
        await spaces.start(self.house, host, space.id, platform=Platform.WEB)
        row = await Recording.get(space_id=space.id)
        public, review = (timedelta(days=days) for days in self.days)
        known = Known(
            id=row.id,
            space_id=space.id,
            host=host,
            public_for=public,
            review_for=review,
            started_at=self.now,
        )
        self.keep_link(known, playback.live_link(self.house, space, Viewer(), self.now))
        self.known.append(known)

    def keep_link(self, one: Known, link: Link) -> None:
        """A link that somebody was given, and tries ever after."""
        one.links.append((link.kind, self.house.links.sign(link), link.expires_at))

    async def row(self, one: Known) -> Recording:
        """Its row."""
        return await Recording.get(id=one.id)

    async def snapshot(self) -> list[Any]:
        """What a round may change."""
        tables = ((Recording, "id"), (PurgeReceipt, "recording_id"), (AuditEntry, "id"))
        return [await table.all().order_by(key).values() for table, key in tables]

    async def fetch(self, one: Known, *, every: bool) -> None:
        """Try every link that was ever given: what is behind it comes, or 410. `every`: each file, ranges too."""
        for kind, token, until in one.links:
            folder, names = _ROUTES[kind]
            expected, goes_on = self._expected(one, kind, until)
            for name in names if every else names[:1]:
                url = f"/media/{folder}/{token}/{name}"
                answer = await self.http.get(url)
                if goes_on and name != "index.m3u8":
                    assert answer.status_code == 410
                    continue
                assert answer.status_code == expected, (kind, one.seen(self.now), answer.text)
                assert not goes_on or "programme.mp4" not in answer.text
                if every and name == "programme.mp4":
                    part = await self.http.get(url, headers={"Range": "bytes=0-9"})
                    assert part.status_code == (206 if expected == 200 else 410)

    def _expected(self, one: Known, kind: LinkKind, until: datetime) -> tuple[int, bool]:
        """The status, and whether a Space that is live goes on without its recording: by its window in memory."""
        seen, is_in_time = one.seen(self.now), self.now < until
        good = {LinkKind.LIVE: {"LIVE", "AVAILABLE"}, LinkKind.REVIEW: GONE_NAMES}.get(kind, {"AVAILABLE"})
        goes_on = kind is LinkKind.LIVE and one.ended_at is None and seen != "LIVE" and is_in_time
        is_good = goes_on or (seen in good and is_in_time and not one.condemned)
        return (200 if is_good else 410), goes_on
