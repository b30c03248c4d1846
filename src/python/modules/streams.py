"""Sends what Python code prints and logs to the program's log; standard output belongs to the protocol."""

import io
import logging
import sys
import threading

import _mxcp_native

# A progress bar may never end its line.
_LONGEST = 8192


class LogStream(io.TextIOBase):
    """A text stream whose lines become log entries, each thread's its own."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, level):
        self._level = level
        self._pending = threading.local()
        self.buffer = _Bytes(self)

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        *lines, rest = (getattr(self._pending, "text", "") + text).split("\n")
        for line in lines:
            self._emit(line)
        self._pending.text = rest
        if len(rest) > _LONGEST:
            self.flush()
        return len(text)

    def flush(self):
        rest = getattr(self._pending, "text", "")
        self._pending.text = ""
        self._emit(rest)

    def _emit(self, line):
        line = line.rstrip()
        if line:
            _mxcp_native.emit(self._level, line.encode("utf-8", "backslashreplace").decode("utf-8"))

    def writable(self):
        return True

    def fileno(self):
        # Child processes that get this stream write to standard error.
        return 2


class _Bytes(io.RawIOBase):
    def __init__(self, stream):
        self._stream = stream

    def write(self, data):
        self._stream.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def writable(self):
        return True


class LogHandler(logging.Handler):
    """Records of Python's `logging` keep their level."""

    def emit(self, record):
        try:
            _mxcp_native.emit(record.levelno, f"{record.name}: {self.format(record)}")
        except Exception:
            pass


OUT = LogStream(logging.INFO)
ERR = LogStream(logging.WARNING)


def install():
    sys.stdout = sys.__stdout__ = OUT
    sys.stderr = sys.__stderr__ = ERR
    # Standard input carries the protocol too.
    sys.stdin = sys.__stdin__ = io.StringIO("")
    logging.getLogger().addHandler(LogHandler())
    logging.getLogger().setLevel(logging.INFO)
