"""Where a process's log goes, and in which form."""

import logging
import logging.handlers
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from api.settings import Settings

_LOG_BYTES = 10_000_000
_LOG_FILES = 5


class _Briefly:
    """Errors of these classes are told by their words, without a trace."""

    def __init__(self, classes: tuple[type[Exception], ...]) -> None:
        self._classes = classes

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """A processor of structlog."""
        told = event.get("exc_info")
        error = sys.exception() if told is True else told[1] if isinstance(told, tuple) else told
        if isinstance(error, self._classes):
            del event["exc_info"]
            event["reason"] = str(error)
        return event


def configure_logs(settings: Settings, name: str, away: tuple[type[Exception], ...] = ()) -> None:
    """Structured lines on standard error and in the data folder's logs, the latter bounded and rotated.

    Errors of the classes in `away` are told without a trace.
    """
    folder = settings.data_dir.absolute() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.handlers.RotatingFileHandler(
        folder / f"{name}.log", maxBytes=_LOG_BYTES, backupCount=_LOG_FILES
    )
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Briefly(away),
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
