"""What the service logs: a line of JSON for each request and each warning, on standard error."""

from __future__ import annotations

import json
import logging
import time

FIELDS = ("request", "trace", "owner", "method", "path", "status", "seconds")


class JsonLines(logging.Formatter):
    """time, level, logger, message, and those of FIELDS that a record has."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: record.__dict__[name] for name in FIELDS if record.__dict__.get(name)},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start_logging(level: str) -> None:
    """For this package, its processes, uvicorn and asyncio."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name in ("swin2sr_headless.service", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel("WARNING")
    logging.getLogger("python_multipart").setLevel("CRITICAL")  # it repeats what strangers send
