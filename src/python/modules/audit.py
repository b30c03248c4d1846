"""Events that a call adds to its own record."""

import datetime
import time

import _mxcp_native

__all__ = ["begin_execution_event", "add_execution_event"]


class ExecutionEventSpan:
    """The start of an event."""

    def __init__(self):
        self.started_at = datetime.datetime.now(datetime.timezone.utc)
        self.monotonic_start = time.perf_counter()


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
    """Ends the event and returns it as a dict. It is written to the log only, without its details."""
    duration = max(0, int((time.perf_counter() - span.monotonic_start) * 1000))
    _mxcp_native.emit(10, f"{kind} event: {operation} on {target}: {status} after {duration} ms")
    return {
        "kind": kind,
        "started_at": span.started_at.isoformat(),
        "duration_ms": duration,
        "status": status,
        "target": target,
        "operation": operation,
        "summary": summary,
        "error": error,
        "details": details,
    }
