"""Spans and metrics of endpoint code. They are accepted and go to the log at most: nothing is exported here."""

import contextlib
import enum
import functools
import time

import _mxcp_native

__all__ = [
    "Span",
    "SpanKind",
    "Status",
    "StatusCode",
    "decrement_gauge",
    "get_current_span",
    "get_current_span_id",
    "get_current_trace_id",
    "increment_gauge",
    "is_telemetry_enabled",
    "record_counter",
    "record_exception",
    "record_gauge",
    "record_histogram",
    "set_span_attribute",
    "time_histogram",
    "traced_operation",
]


class SpanKind(enum.Enum):
    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class StatusCode(enum.Enum):
    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


class Status:
    def __init__(self, status_code=StatusCode.UNSET, description=None):
        self.status_code = status_code
        self.description = description


class Span:
    """A span that nobody reads."""

    def set_attribute(self, key, value):
        pass

    def set_status(self, status):
        pass

    def record_exception(self, exception):
        pass

    def is_recording(self):
        return False


@contextlib.contextmanager
def traced_operation(name, attributes=None, kind=SpanKind.INTERNAL):
    """A span around a block of code."""
    started = time.perf_counter()
    try:
        yield Span()
    finally:
        _mxcp_native.emit(10, f"span {name}: {(time.perf_counter() - started) * 1000:.1f} ms")


def get_current_span():
    return None


def get_current_span_id():
    return None


def get_current_trace_id():
    return None


def set_span_attribute(key, value):
    pass


def record_exception(exception):
    pass


def is_telemetry_enabled():
    return False


def record_counter(name, value=1, attributes=None, description="", unit=""):
    pass


record_histogram = record_gauge = increment_gauge = decrement_gauge = record_counter


def time_histogram(name, attributes=None, description=""):
    """Decorates a function whose time would be recorded."""

    def decorate(func):
        @functools.wraps(func)
        def call(*arguments, **named):
            return func(*arguments, **named)

        return call

    return decorate
