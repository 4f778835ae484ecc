"""Routes for operators: is it alive, is it ready, how much of what."""

import asyncio
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tortoise.exceptions import BaseORMException

from api.counted import RequestsCollector
from api.overview import Overview, Seen
from media.disk import free_bytes
from media.engine import LATE_BOUNDS_MS
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from models.webhook_delivery import DeliveryState, WebhookDelivery
from services.house import House

_VERSION = version("spaces-server")
# A database that has not answered so soon does not answer.
_ANSWERS_WITHIN_S = 2.0
_SUBSCRIPTIONS = {
    "looks": "Times that rows were looked at for those who follow a stream, since the start",
    "executions": "Times that an event was made an answer: once for all who get the same",
    "messages": "Events and ticks that were sent",
    "behind": "Times that a slow client fell out of its crowd and read on alone",
}


async def tell_members(overview: Overview, registry: CollectorRegistry) -> None:
    """Gauges of every media process that answers. What counts up is a gauge too, for a process that is lost
    takes its counts with it.
    """

    def gauge(name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"spaces_media_{name}", told, ["process", *labels], registry=registry)

    rooms, sessions = gauge("rooms", "Rooms that are open"), gauge("sessions", "WHIP and WHEP sessions")
    received = gauge("packets_received", "Packets of publishers since its start")
    dropped = gauge("packets_dropped", "Of these, those too late or too many to be heard")
    events = gauge("events_dropped", "Levels and progress that the server did not take in time")
    worst = gauge("tick_late_worst_ms", "The latest wake-up since its start")
    late = gauge("tick_late", "Wake-ups since its start that were at most so late", "le_ms")
    for name, stats in await overview.media():
        rooms.labels(name).set(stats.rooms)
        sessions.labels(name).set(stats.sessions)
        received.labels(name).set(stats.received_packets)
        dropped.labels(name).set(stats.dropped_packets)
        events.labels(name).set(stats.dropped_events)
        worst.labels(name).set(stats.late_worst_ms)
        for bound, count in zip([*LATE_BOUNDS_MS, "+Inf"], accumulate(stats.late), strict=False):
            late.labels(name, str(bound)).set(count)


async def tell_counts(overview: Overview, registry: CollectorRegistry) -> None:
    """Gauges of what API processes have counted, all of them together."""
    counts = await overview.counts()
    findings = Gauge(
        "spaces_reconcile_findings", "What the reconciler found since the start", ["kind"], registry=registry
    )
    for kind, count in counts["findings"].items():
        findings.labels(kind).set(count)
    executed = Gauge(
        "spaces_operations_executed",
        "Operations since the start, by executor; again: by the ordinary one after a plan failed",
        ["executor"],
        registry=registry,
    )
    for executor in ("compiled", "ordinary", "again"):
        executed.labels(executor).set(counts["executed"][executor])
    registry.register(RequestsCollector(counts["answered"]))
    for what, told in _SUBSCRIPTIONS.items():
        counted = Gauge(f"spaces_subscriptions_{what}", told, registry=registry)
        counted.set(counts["told"][what])


def tell_processes(seen: Seen, registry: CollectorRegistry) -> None:
    """Gauges of the API's own processes."""
    up = Gauge("spaces_media_up", "1 while a media process answers", registry=registry)
    up.set(seen.is_up)
    answering = Gauge("spaces_api_processes", "API processes that answer", registry=registry)
    answering.set(seen.answering)
    restarts = Gauge(
        "spaces_api_restarts", "API processes that died and were started again", registry=registry
    )
    restarts.set(seen.restarts)


async def tell_outbox(house: House, registry: CollectorRegistry) -> None:
    """Gauges of what waits for webhooks."""
    waiting = WebhookDelivery.filter(state=DeliveryState.PENDING)
    pending = Gauge("spaces_webhooks_pending", "Calls of webhooks that wait", registry=registry)
    pending.set(await waiting.count())
    oldest = await waiting.order_by("at").first()
    age = Gauge("spaces_webhooks_oldest_seconds", "Age of the oldest of them", registry=registry)
    age.set((house.clock.now() - oldest.at).total_seconds() if oldest else 0)


def tell_store(house: House, registry: CollectorRegistry) -> None:
    """Gauges of the object store; without one all is well with it."""
    bucket = house.shelf.bucket
    up = Gauge("spaces_store_up", "1 while the last call of the object store went well", registry=registry)
    up.set(bucket is None or bucket.is_up)
    failures = Gauge("spaces_store_failures", "Calls of it since the start that did not", registry=registry)
    failures.set(bucket.failures if bucket else 0)
    waiting = Gauge(
        "spaces_store_waiting", "Recordings that are over and wait in the spool", registry=registry
    )
    waiting.set(house.shelf.waiting)


class ProcessesCollector(Collector):
    """What the kernel tells of several processes, by their names."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        """Each metric once, with a sample for each process that is there."""
        found: dict[str, Metric] = {}
        for name, pid in self._pids.items():
            told = ProcessCollector(pid=lambda pid=pid: pid, registry=None)  # type: ignore[misc]
            for metric in told.collect():
                samples = [one._replace(labels={"process": name}) for one in metric.samples]
                metric.samples = []
                found.setdefault(metric.name, metric).samples += samples
        yield from found.values()


class Operations:
    """`/healthz`, `/readyz`, `/metrics`, `/.well-known/jwks.json`."""

    def __init__(self, house: House, overview: Overview) -> None:
        self._house = house
        self._overview = overview
        self._looking: asyncio.Task[bool] | None = None

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/.well-known/jwks.json", self.jwks),
        ]

    async def healthz(self, _request: Request) -> Response:
        """200 as long as the process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """200 when database and audio plane answer, else 503 and which does not."""
        seen = await self._overview.seen()
        parts = {"database": await self._database_is_up(), "media": seen.is_up}
        ready = all(parts.values())
        told = {"status": "ok" if ready else "unavailable", **parts, "draining": seen.is_draining}
        return JSONResponse(told, 200 if ready else 503)

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        registry = CollectorRegistry()
        Info("spaces_build", "The version that runs", registry=registry).info({"version": _VERSION})
        live = Gauge("spaces_live", "Spaces that are live now", registry=registry)
        live.set(await Space.filter(state=SpaceState.LIVE).count())
        recordings = Gauge("spaces_recordings", "Recordings by status", ["status"], registry=registry)
        for status in RecordingStatus:
            recordings.labels(status.value).set(await Recording.filter(status=status).count())
        overdue = Gauge("spaces_purges_overdue", "Review copies whose time is up", registry=registry)
        overdue.set(await Recording.due(self._house.clock.now()).count())
        await tell_outbox(self._house, registry)
        free = Gauge("spaces_disk_free_bytes", "Room on the disk of the recordings", registry=registry)
        free.set(await asyncio.to_thread(free_bytes, self._house.recordings_dir))
        seen = await self._overview.seen()
        tell_processes(seen, registry)
        await tell_counts(self._overview, registry)
        tell_store(self._house, registry)
        await tell_members(self._overview, registry)
        registry.register(ProcessesCollector(seen.pids))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def jwks(self, _request: Request) -> Response:
        """The public keys that sign purge receipts (RFC 7517)."""
        return JSONResponse(self._house.signer.jwks(), media_type="application/jwk-set+json")

    async def _database_is_up(self) -> bool:
        # One look for all who ask: a database that hangs is not asked again and again.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._database_answers(), name="a look at the database")
        await asyncio.wait([self._looking], timeout=_ANSWERS_WITHIN_S)
        return self._looking.done() and self._looking.result()

    async def _database_answers(self) -> bool:
        try:
            await Space.exists()
        except (BaseORMException, OSError):
            return False
        return True
