"""How many requests were answered, how, and how soon: counted here, and told to Prometheus as a histogram."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Seconds from the request until the first byte of its answer.
_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NAME = "spaces_http_request_duration_seconds"
_TOLD = "Requests by the time until their answer began, since the start"
# By the beginning of the path; those of live playlists wait for the next part, as they are asked to.
_ROUTES = {
    "/graphql": "graphql",
    "/media/live": "live",
    "/media/whip": "webrtc",
    "/media/whep": "webrtc",
    "/media": "recorded",
    "/healthz": "operations",
    "/readyz": "operations",
    "/metrics": "operations",
}
_REST = "pages"
_SUM = "us"


def _route_of(path: str) -> str:
    found = _ROUTES.get(path)
    if found is None and path.startswith("/media/"):
        found = _ROUTES.get("/".join(path.split("/", 3)[:3]), "recorded")
    return found or _REST


class CountedRequests:
    """Counts into `answered`, by route, class of status, and the bound that the answer kept to."""

    def __init__(self, app: ASGIApp, *, answered: Counter[str], monotonic: Callable[[], float]) -> None:
        self._app = app
        self._answered = answered
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, is_told = self._monotonic(), False

        async def told(message: Message) -> None:
            nonlocal is_told
            if message["type"] == "http.response.start":
                is_told = True
                self._count(scope["path"], message["status"], self._monotonic() - began_s)
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception:
            if not is_told:
                self._count(scope["path"], 500, self._monotonic() - began_s)
            raise

    def _count(self, path: str, status: int, took_s: float) -> None:
        of = f"{_route_of(path)} {status // 100}xx "
        self._answered[f"{of}{bisect_left(_BOUNDS_S, took_s)}"] += 1
        self._answered[of + _SUM] += int(took_s * 1_000_000)


class RequestsCollector(Collector):
    """The histogram of what was counted, of whichever processes."""

    def __init__(self, answered: Counter[str]) -> None:
        self._answered = answered

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """One metric, with a series for each route and class of status that there were."""
        found = HistogramMetricFamily(_NAME, _TOLD, labels=["route", "status"])
        for route, status in sorted({tuple(key.split()[:2]) for key in self._answered}):
            of = f"{route} {status} "
            counts = accumulate(self._answered[f"{of}{place}"] for place in range(len(_BOUNDS_S) + 1))
            bounds = [*map(str, _BOUNDS_S), "+Inf"]
            found.add_metric(
                [route, status],
                buckets=list(zip(bounds, counts, strict=True)),
                sum_value=self._answered[of + _SUM] / 1_000_000,
            )
        yield found
