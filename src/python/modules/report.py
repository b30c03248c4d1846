"""Describes an exception for the people who wrote the code: their frames, their paths."""

import os
import sys

import _mxcp_environment as environment


def describe(error, root):
    """The exception's type, message and traceback."""
    return type(error).__qualname__, _message(error), _traceback(error, str(root))


def _message(error):
    if isinstance(error, SystemExit):
        return f"the code called `sys.exit` with status {error.code!r}"
    try:
        message = str(error)
    except BaseException:
        return f"an error without a printable message ({type(error).__qualname__})"
    if isinstance(error, ModuleNotFoundError) and message == f"No module named {error.name!r}":
        return message + _remedy(error.name)
    return message


# Packages whose name is not that of their module.
_PACKAGES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "jwt": "pyjwt",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def _remedy(module):
    """How to get a package that is not there; nothing for a part of one that is."""
    top = module.partition(".")[0]
    if top != module and top in sys.modules:
        return ""
    package = _PACKAGES.get(top, top)
    if environment.entered is not None:
        return f"; if it is a package, install it: `{environment.entered}/bin/pip install {package}`"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        f"; if it is a package, install it into a virtual environment of the project: "
        f"`python{version} -m venv .venv && .venv/bin/pip install {package}`"
    )


def _traceback(error, root):
    # Imported late: it costs milliseconds that only a failure should pay.
    import traceback

    try:
        report = traceback.TracebackException.from_exception(error, compact=True)
        _shorten(report, root, set())
        return "".join(report.format()).rstrip()
    except Exception:
        return f"{type(error).__qualname__}: {_message(error)}"


def _shorten(report, root, seen):
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    mine = [frame for frame in report.stack if _is_users(frame.filename, root)]
    others = [frame for frame in report.stack if not frame.filename.startswith(("<mxcp>", "<frozen "))]
    report.stack[:] = mine or others
    for frame in report.stack:
        # The source line is looked up by the full path, so it has to be read before that is shortened.
        _ = frame.line
        frame.filename = _relative(frame.filename, root)
    if getattr(report, "filename", None):
        report.filename = _relative(report.filename, root)
    _shorten(report.__cause__, root, seen)
    _shorten(report.__context__, root, seen)
    for inner in getattr(report, "exceptions", None) or ():
        _shorten(inner, root, seen)


def _is_users(filename, root):
    return filename.startswith(root + os.sep) and "site-packages" not in filename


def _relative(filename, root):
    return os.path.relpath(filename, root).replace(os.sep, "/") if _is_users(filename, root) else filename
