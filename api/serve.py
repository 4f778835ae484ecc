"""Serving: one process with the API and the clockwork, and its media process."""

import gc
import socket
import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette

from api.complaints import AWAY
from api.graphql.protocol import server_options
from api.logs import configure_logs
from api.running import MediaStarter
from api.settings import Settings
from media.launch import Launched
from services import restored

# Threads that read documents give way to the event loop so soon, and not after Python's 5 ms.
SWITCH_S = 0.001


def proxy_options(settings: Settings) -> dict[str, Any]:
    """Whose word uvicorn takes for where a request comes from."""
    trusted = settings.trusted_proxies
    return {"proxy_headers": bool(trusted), "forwarded_allow_ips": trusted}


class QuietServer(uvicorn.Server):
    """One whose full garbage collections, which stop the loop, are short."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """What is there once it is up stays; walking it all would take 30 ms and more."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        # Three times as often as by default, and so for a third as long.
        gc.set_threshold(700, 10, 3)


def server_of(settings: Settings, app: Starlette, **more: Any) -> QuietServer:
    """What serves an application, with limits and names as the settings have them."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        log_config=None,
        access_log=False,
        **proxy_options(settings),
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=1,
        **server_options(settings.limits()),
        **more,
    )
    gc.enable()
    sys.setswitchinterval(SWITCH_S)
    return QuietServer(config)


def serve(settings: Settings, launched: Launched) -> None:
    """Serve until SIGTERM or SIGINT; then close fragments, tell, and be gone. Raises RestoreUnfinished."""
    configure_logs(settings, "server", AWAY)
    # The schema is heavy, and whoever only keeps fronts needs none of it.
    from api.app import build

    built = build(settings, start_engine=MediaStarter(settings, launched))
    try:
        server_of(settings, built.app).run()
    except SystemExit:
        # It did not start; this is seen only with the database open.
        restored.refuse(settings.data_dir.absolute())
        raise
