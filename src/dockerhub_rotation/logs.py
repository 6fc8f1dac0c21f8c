"""Logs and metrics: JSON through Powertools, and a last line of defence against a token in a log line.

The modules log through the standard library; their loggers are children of the one Powertools configures.
"""

import logging
import os
import re
from collections.abc import Mapping

from dockerhub_rotation import library_settings

# What Powertools can't read is reported by an invocation; here it would end this import, and with it every report.
SET_ASIDE = library_settings.set_aside(os.environ)

from aws_lambda_powertools import Logger, Metrics  # noqa: E402 - it reads the environment while it is imported

# The alphabet and length are not documented, so everything that could belong to the token goes.
_TOKEN = re.compile(r"dckr_(pat|oat)_[A-Za-z0-9_-]+")

# At DEBUG these print headers and bodies, at INFO some of them URLs.
_TALKATIVE = ("boto3", "botocore", "urllib3", "httpx", "httpcore")


class RedactTokens(logging.Filter):
    """Takes Docker Hub tokens out of every record: its message, its arguments, its extra fields, its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record in place and let it pass."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's broken log call must not break a rotation
            message = f"{record.msg} (its arguments do not fit)"
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
            record.exc_info = record.exc_text = None
        record.msg, record.args = redact(message), ()
        for name, value in vars(record).items():
            setattr(record, name, _redacted(value))
        return True


def redact(text: str) -> str:
    """Return a text without the value of any Docker Hub token."""
    return _TOKEN.sub(r"dckr_\1_[redacted]", text)


def _redacted(value: object) -> object:
    """Return a field of a record without the value of any token; what is not plain data becomes text."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {redact(str(key)): _redacted(held) for key, held in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(held) for held in value]
        case _:
            return redact(str(value))


def metrics() -> Metrics:
    """Return the metrics of this process: they are one set, whoever asks for it.

    The function's name tells them from those of another project in the same account and Region.
    """
    return Metrics(
        namespace="DockerHubRotation", service=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "dockerhub-rotation")
    )


def configure() -> Logger:
    """Set up logging for this process and return its logger. Doing it again changes nothing."""
    logger = Logger(service="dockerhub_rotation")
    redacting = RedactTokens()
    # Filters of a logger don't see its children's records, those of a handler see all.
    for handler in (logger.registered_handler, *logging.getLogger().handlers, logging.lastResort):
        if handler and not any(isinstance(known, RedactTokens) for known in handler.filters):
            handler.addFilter(redacting)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    return logger
