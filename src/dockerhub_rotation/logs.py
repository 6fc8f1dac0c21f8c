"""Logging: JSON through Powertools, and a last line of defence against a token in a log line.

The modules log through the standard library; their loggers are children of the one Powertools configures.
"""

import logging
import re

from aws_lambda_powertools import Logger

# The alphabet and length are not documented, so everything that could belong to the token goes.
_TOKEN = re.compile(r"dckr_(pat|oat)_[A-Za-z0-9_-]+")

# At DEBUG these print headers and bodies, at INFO some of them URLs.
_TALKATIVE = ("boto3", "botocore", "urllib3", "httpx", "httpcore")


class RedactTokens(logging.Filter):
    """Takes Docker Hub tokens out of every record: its message, its arguments, its extra fields, its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact a record in place and let it pass."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
            record.exc_info = record.exc_text = None
        record.msg, record.args = redact(message), ()
        for name, value in vars(record).items():
            if isinstance(value, str):
                setattr(record, name, redact(value))
        return True


def redact(text: str) -> str:
    """Return a text without the value of any Docker Hub token."""
    return _TOKEN.sub(r"dckr_\1_[redacted]", text)


def configure() -> Logger:
    """Set up logging for this process and return its logger. Doing it again changes nothing."""
    logger = Logger(service="dockerhub_rotation")
    redacting = RedactTokens()
    # Filters of a logger don't see its children's records, those of a handler see all.
    for handler in {logger.registered_handler, *logging.getLogger().handlers}:
        if not any(isinstance(known, RedactTokens) for known in handler.filters):
            handler.addFilter(redacting)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    return logger
