import logging


class WithoutTraceback(logging.Filter):
    """For a library that logs an expected outage as a bug, once a second: the line says enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.msg = f"{record.getMessage()}: {record.exc_info[1]!r}"
            record.args, record.exc_info = (), None
        return True
