"""The servers of the timeline benchmark: ours, one written by hand for this answer alone, and stock Strawberry.

`python -m benchmarks.timeline_servers KIND FOLDER PORT [URL]` serves until it is ended.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from api.app import build
from api.engine import EngineRun
from api.graphql.protocol import server_options
from api.serve import QuietServer
from api.settings import Settings
from api.work import opened
from benchmarks import timeline_by_hand, timeline_stock
from benchmarks.timeline_town import settings_of
from services.clock import SystemClock
from services.house import House
from tests.product.quiet_engine import QuietEngine

Answer = Callable[[House, Any], Awaitable[bytes]]


async def quiet_engine() -> EngineRun:
    """No media process: nobody speaks here."""
    engine = QuietEngine(SystemClock())
    return EngineRun(engine, engine.aclose)


def _rival(settings: Settings, routes: Callable[[Callable[[], House]], list[Any]]) -> Starlette:
    houses: list[House] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with opened(settings) as house:
            houses.append(house)
            yield

    return Starlette(routes=routes(lambda: houses[0]), lifespan=lifespan)


def _app(kind: str, settings: Settings) -> Any:
    if kind == "by_hand":
        return _rival(settings, timeline_by_hand.routes)
    if kind == "stock_strawberry":
        return _rival(settings, timeline_stock.routes)
    return build(settings, start_engine=quiet_engine).app


def serve(kind: str, folder: Path, port: int, url: str) -> None:
    """Serve on a port of 127.0.0.1."""
    changes: dict[str, object] = {"port": port}
    if kind == "ordinary":
        changes["compiled_operations"] = False
    settings = settings_of(folder, url, **changes)
    config = uvicorn.Config(
        _app(kind, settings), host="127.0.0.1", port=port, loop="uvloop", log_config=None, access_log=False,
        lifespan="on", server_header=False, **server_options(settings.limits()),
    )  # fmt: skip
    QuietServer(config).run()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
