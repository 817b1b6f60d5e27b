"""Structured logs: one event a line, with request and order ids and without secrets."""

import logging.config
import re
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

# Names whose values never reach a log. The values themselves are also never passed: this is the net.
SECRET_NAMES = re.compile(r"secret|password|token|card_key|cookie|authorization|^key$|^sign$", re.IGNORECASE)
# Order links carry their token in the path.
LINK = re.compile(r"(/o/|/orders/)[A-Za-z0-9_-]{16,}")


def masked(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Blank out values by name, and tokens inside links by shape."""
    for name, value in event.items():
        if SECRET_NAMES.search(name):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = LINK.sub(r"\1***", value)
    return event


def logging_config(*, json: bool) -> None:
    """Route the standard library's and structlog's records through one formatter to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Exceptions become text before masking, and never with the values of local variables.
    final: list[Any] = (
        [structlog.processors.format_exc_info, masked, structlog.processors.JSONRenderer()]
        if json
        else [structlog.processors.format_exc_info, masked, structlog.dev.ConsoleRenderer(colors=False)]
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        *final,
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
            "loggers": {
                # httpx logs whole URLs at INFO, and EPay's query carries the merchant's key in one.
                "httpx": {"level": "WARNING"},
                "httpcore": {"level": "WARNING"},
                # Our own middleware logs each request once, without its path's secrets.
                "django.request": {"level": "ERROR"},
                "celery.worker.strategy": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.beat": {"level": "WARNING"},
            },
        }
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
