"""Events that a call adds to its own record."""

import datetime
import time
import types

import _mxcp_host as _host
import _mxcp_native

__all__ = [
    "ExecutionEventModel",
    "ExecutionEventSpan",
    "add_execution_event",
    "begin_execution_event",
    "get_execution_events",
]


class ExecutionEventSpan:
    """The start of an event."""

    def __init__(self, started_at=None, monotonic_start=None):
        self.started_at = started_at or datetime.datetime.now(datetime.timezone.utc)
        self.monotonic_start = time.perf_counter() if monotonic_start is None else monotonic_start


class ExecutionEventModel(types.SimpleNamespace):
    """An event that has ended."""

    def model_dump(self, **_):
        return dict(vars(self))


def begin_execution_event():
    return ExecutionEventSpan()


def add_execution_event(
    *,
    span,
    kind="external",
    status="success",
    target=None,
    operation=None,
    summary=None,
    error=None,
    details=None,
):
    """Ends the event and adds it to those of the running call."""
    duration = max(0, int((time.perf_counter() - span.monotonic_start) * 1000))
    # The details may be anybody's data and stay out of the log.
    _mxcp_native.emit(10, f"{kind} event: {operation} on {target}: {status} after {duration} ms")
    event = ExecutionEventModel(
        kind=kind,
        started_at=span.started_at,
        duration_ms=duration,
        status=status,
        target=target,
        operation=operation,
        summary=summary,
        error=error,
        details=details or {},
    )
    scope = _host.scope()
    if scope is not None:
        scope.events.append(event)
    return event


def get_execution_events():
    """The events of the running call so far, or None outside of calls."""
    scope = _host.scope()
    return None if scope is None else list(scope.events)
