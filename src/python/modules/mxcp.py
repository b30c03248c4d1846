"""The package that a project's Python code imports; its modules come with the program."""

from importlib import import_module as _import_module

__all__ = ["runtime", "plugins"]


def __getattr__(name):
    if name in __all__:
        return _import_module(f"mxcp.{name}")
    raise AttributeError(f"module 'mxcp' has no attribute {name!r}")
