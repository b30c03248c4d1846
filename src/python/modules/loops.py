"""The event loops that run `async def`: one for everybody, others only while code blocks it.

A coroutine that does not begin in time is moved to a loop whose thread is free. `asyncio` is imported
with the first coroutine: projects without any should not pay for it.
"""

import threading

import _mxcp_native

# How long a loop may keep others waiting before it counts as blocked.
_PATIENCE = 2.0
_MOST = 16

_lock = threading.Lock()
_loops = []


class CallStopped(BaseException):
    """Raised in the middle of code whose caller does not wait any more."""


class Loop:
    """An event loop on a thread of its own."""

    def __init__(self, number):
        import asyncio

        self.loop = asyncio.new_event_loop()
        self.blocked = False
        self.thread = threading.Thread(target=self._run, name=f"python-asyncio-{number}", daemon=True)
        self.thread.start()

    def _run(self):
        import asyncio

        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
                return
            except CallStopped:
                pass
            except BaseException as error:
                # A task of the user's that calls `sys.exit` must not end everybody's loop.
                _mxcp_native.emit(40, f"the event loop was interrupted by {type(error).__name__}: {error}")

    def freed(self):
        self.blocked = False


class Task:
    """A coroutine on a loop: begun at most once, stoppable."""

    def __init__(self, coroutine):
        self._coroutine = coroutine
        self._claim = threading.Lock()
        self._begun = threading.Event()
        self._loop = None
        self._task = None
        self._asked = False

    def start(self):
        """Returns when the coroutine has begun to run."""
        try:
            for loop in _candidates():
                loop.loop.call_soon_threadsafe(self._begin, loop)
                if self._begun.wait(_PATIENCE):
                    return self
                loop.blocked = True
                loop.loop.call_soon_threadsafe(loop.freed)
                _mxcp_native.emit(
                    30, "an `async def` blocks its event loop; wrap what blocks in `asyncio.to_thread`, or use `def`"
                )
        finally:
            # Whatever ended this, a coroutine that has not begun must not begin later.
            given_up = self._claim.acquire(blocking=False)
            if given_up:
                self._coroutine.close()
        if given_up:
            raise RuntimeError("every event loop is blocked; wrap what blocks in `asyncio.to_thread`, or use `def`")
        return self

    def _begin(self, loop):
        if self._claim.acquire(blocking=False):
            self._loop = loop
            self._task = loop.loop.create_task(self._coroutine)
            self._begun.set()

    def stop(self):
        """Cancels the task; one that keeps its loop busy is interrupted the next time."""
        import asyncio

        task, loop = self._task, self._loop
        if task is None or task.done():
            return
        if self._asked and asyncio.current_task(loop.loop) is task:
            _mxcp_native.interrupt(loop.thread.ident, CallStopped)
        self._asked = True
        loop.loop.call_soon_threadsafe(task.cancel)

    def is_done(self):
        return self._task is not None and self._task.done()


def _candidates():
    """Free loops, at last new ones."""
    seen = []
    while len(seen) < _MOST:
        with _lock:
            free = [loop for loop in _loops if not loop.blocked and loop not in seen]
            if not free:
                if len(_loops) >= _MOST:
                    return
                _loops.append(Loop(len(_loops)))
                free = _loops[-1:]
        seen.append(free[0])
        yield free[0]


def wait(awaitable):
    """Runs an awaitable to its end on a loop; gives its exception, or None."""
    outcome = []
    done = threading.Event()

    async def settle():
        try:
            await awaitable
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)
        finally:
            done.set()

    Task(settle()).start()
    done.wait()
    return outcome[0]
