"""Serving: one process with the API and the clockwork, and its media process."""

import gc
import logging
import logging.handlers
import socket
import sys
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette

from api.app import MediaStarter, build
from api.graphql.protocol import server_options
from api.settings import Settings
from media.launch import Launched
from services import restored

_LOG_BYTES = 10_000_000
_LOG_FILES = 5
# Threads that read documents give way to the event loop so soon, and not after Python's 5 ms.
SWITCH_S = 0.001


def configure_logs(settings: Settings, name: str) -> None:
    """Structured lines on standard error and in the data folder's logs, the latter bounded and rotated."""
    folder = settings.data_dir.absolute() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=_LOG_BYTES, backupCount=_LOG_FILES
    )
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if settings.traces:
        from api.tracing import trace_ids

        shared.append(trace_ids)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=shared,
    )
    for handler in (file, logging.StreamHandler(sys.stderr)):
        handler.setFormatter(formatter)
        logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(settings.log_level)
    # Tortoise and aiortc tell of every statement and packet at INFO or below, httpx of every request.
    for noisy in ("httpx", "tortoise", "aiosqlite", "aiortc", "aioice", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


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
    configure_logs(settings, "server")
    built = build(settings, start_engine=MediaStarter(settings, launched))
    try:
        server_of(settings, built.app).run()
    except SystemExit:
        # It did not start; this is seen only with the database open.
        restored.refuse(settings.data_dir.absolute())
        raise
