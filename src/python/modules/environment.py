"""The places that imports come from: the project, its virtual environment, nothing else."""

import os
import site
import sys

# The virtual environment in use, as people would write it.
entered = None


def enter(venv, shown):
    """Adds a virtual environment's packages; an ImportError says why it cannot be used."""
    global entered
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    settings = _settings(venv)
    made_for = settings.get("version") or settings.get("version_info") or ""
    if made_for and made_for.split(".")[:2] != version.split("."):
        raise ImportError(
            f"the virtual environment `{shown}` is for Python {made_for}, but this program runs Python {version}; "
            f"make it again with `python{version} -m venv {shown}`"
        )
    packages = os.path.join(venv, "lib", f"python{version}", "site-packages")
    if not os.path.isdir(packages):
        raise ImportError(
            f"`{shown}` is not a virtual environment for Python {version}: it has no "
            f"`lib/python{version}/site-packages`; make it with `python{version} -m venv {shown}`"
        )
    if settings.get("include-system-site-packages", "false").lower() == "false":
        _leave_system_packages(packages)
    site.addsitedir(packages)
    entered = shown
    _adopt_interpreter(venv)


def _settings(venv):
    settings = {}
    try:
        with open(os.path.join(venv, "pyvenv.cfg"), encoding="utf-8") as file:
            for line in file:
                key, separator, value = line.partition("=")
                if separator:
                    settings[key.strip().lower()] = value.strip()
    except OSError:
        pass
    return settings


def _leave_system_packages(keep):
    system = set(site.getsitepackages([sys.base_prefix, sys.base_exec_prefix]))
    system.add(site.getusersitepackages())
    system.discard(keep)
    sys.path[:] = [entry for entry in sys.path if entry not in system]


def _adopt_interpreter(venv):
    """Libraries start `sys.executable` for worker processes, and that is not this program."""
    python = os.path.join(venv, "bin", "python")
    sys.prefix = sys.exec_prefix = venv
    if os.path.exists(python):
        sys.executable = python


def add_paths(directories):
    """Puts directories before the installed packages but behind the standard library, which
    packages rely on. Returns what was added."""
    added = [entry for entry in dict.fromkeys(directories) if entry not in sys.path]
    position = next(
        (i for i, entry in enumerate(sys.path) if entry.endswith(("site-packages", "dist-packages"))),
        len(sys.path),
    )
    sys.path[position:position] = added
    return added


def remove_paths(entries):
    sys.path[:] = [entry for entry in sys.path if entry not in entries]


def forget_modules(directories):
    """Drops the modules of these directories, so that the next host imports them anew."""
    for name, module in list(sys.modules.items()):
        places = [getattr(module, "__file__", None) or "", *_search_path(module)]
        if any(_is_below(place, directory) for place in places for directory in directories):
            del sys.modules[name]


def _search_path(module):
    try:
        return [place for place in getattr(module, "__path__", ()) if isinstance(place, str)]
    except Exception:
        return []


def _is_below(place, directory):
    return place == directory or (place.startswith(directory + os.sep) and "site-packages" not in place)
