"""Routes for operators: is it alive, is it ready, how much of what."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from tortoise.exceptions import BaseORMException

from api.engine import WatchedEngine
from models.recording import Recording, RecordingStatus
from models.space import Space, SpaceState
from services.house import House


class Operations:
    """`/healthz`, `/readyz`, `/metrics`, `/.well-known/jwks.json`."""

    def __init__(self, house: House, engine: WatchedEngine) -> None:
        self._house = house
        self._engine = engine

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
        parts = {"database": await self._database_answers(), "media": self._engine.is_up}
        ready = all(parts.values())
        return JSONResponse({"status": "ok" if ready else "unavailable", **parts}, 200 if ready else 503)

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        registry = CollectorRegistry()
        live = Gauge("spaces_live", "Spaces that are live now", registry=registry)
        live.set(await Space.filter(state=SpaceState.LIVE).count())
        recordings = Gauge("spaces_recordings", "Recordings by status", ["status"], registry=registry)
        for status in RecordingStatus:
            recordings.labels(status.value).set(await Recording.filter(status=status).count())
        findings = Gauge(
            "spaces_reconcile_findings",
            "What the reconciler found since the start",
            ["kind"],
            registry=registry,
        )
        for kind, count in self._house.findings.items():
            findings.labels(kind).set(count)
        overdue = Gauge("spaces_purges_overdue", "Review copies whose time is up", registry=registry)
        overdue.set(await Recording.due(self._house.clock.now()).count())
        up = Gauge("spaces_media_up", "1 while the media process answers", registry=registry)
        up.set(self._engine.is_up)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def jwks(self, _request: Request) -> Response:
        """The public keys that sign purge receipts (RFC 7517)."""
        return JSONResponse(self._house.signer.jwks(), media_type="application/jwk-set+json")

    async def _database_answers(self) -> bool:
        try:
            await Space.exists()
        except (BaseORMException, OSError):
            return False
        return True
