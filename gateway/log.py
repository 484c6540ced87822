"""One JSON line per event on standard error; ids of devices and citizens, never names."""

import logging
import sys

import structlog


def set_up(level: str) -> None:
    """Send this process's log, other packages' too, to standard error as JSON lines."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    handler = _ToStandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # it tells each address it asks, and a webhook's may hold a secret
    logging.getLogger("httpx2").setLevel(logging.WARNING)


class _ToStandardError(logging.Handler):
    """Writes to what standard error is when something is said, not what it was at the start."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - a log that cannot be written stops nothing
            self.handleError(record)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The log of one module: `log.info("what happened", device=17)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
