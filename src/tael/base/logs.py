"""Structured logs: one JSON object a line on standard error, secrets scrubbed by name wherever they appear."""

import logging
import re
import sys
from typing import cast

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

_SECRET = re.compile(r"secret|password|authorization|api_?key|private|token|cvv|card_no|apiv3", re.IGNORECASE)
_KEY = re.compile(r"tael_(?:test|live)_[a-z]{2}_\w+|whsec_[\w+/=-]+")


def configure(*, level: int = logging.INFO, json: bool = True) -> None:
    """Set up logging for this process; plain lines for people when `json` is false."""
    render: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False) if json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            scrub,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def scrub(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Blank every value whose name says it is a secret, at any depth, and every API key in any text."""
    del logger, name
    return {key: _scrubbed(key, value) for key, value in event.items()}


def _scrubbed(key: str, value: object) -> object:
    if _SECRET.search(key):
        return "[scrubbed]"
    if isinstance(value, str):
        return _KEY.sub("[scrubbed]", value)
    if isinstance(value, dict):
        inside = cast("dict[object, object]", value)
        return {str(inner): _scrubbed(str(inner), deep) for inner, deep in inside.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(key, deep) for deep in cast("list[object]", value)]
    return value
