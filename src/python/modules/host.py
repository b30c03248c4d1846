"""Loads a project's code and runs it: modules, hooks, plugins, calls. One `Host` per started project."""

import contextvars
import importlib
import importlib.abc
import importlib.util
import inspect
import os
import sys
import threading
import zlib

import _mxcp_environment as environment
import _mxcp_loops as loops
import _mxcp_native
import _mxcp_streams as streams
from _mxcp_errors import database_error  # noqa: F401 - the native side looks these up here
from _mxcp_loops import CallStopped  # noqa: F401
from _mxcp_report import describe  # noqa: F401
from _mxcp_values import plain, simplify  # noqa: F401

_scope = contextvars.ContextVar("mxcp_scope", default=None)
_latest = None


class Scope:
    """What the running code may reach: its host and the call it serves, with what it gathers meanwhile."""

    __slots__ = ("host", "call", "events", "values", "questions")

    def __init__(self, host, call):
        self.host = host
        self.call = call
        self.events = []
        self.values = None
        self.questions = {}


def scope():
    return _scope.get()


def current():
    found = _scope.get()
    if found is None:
        raise RuntimeError(
            "No execution context available - function not called from MXCP executor; `mxcp.runtime` works in endpoints "
            "and hooks, and in a thread that runs `contextvars.copy_context().run`"
        )
    return found


def registering_host():
    """The host whose code is being imported."""
    found = _scope.get()
    host = found.host if found is not None else _latest
    if host is None:
        raise RuntimeError("hooks can only be registered by code of a running project")
    return host


class Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Serves the `mxcp` package from memory, in front of whatever is installed."""

    def __init__(self, sources):
        self._sources = {name: (file, source) for name, file, source in sources}

    def find_spec(self, name, path=None, target=None):
        if name != "mxcp" and not name.startswith("mxcp."):
            return None
        if name not in self._sources:
            known = ", ".join(f"`{known}`" for known in sorted(self._sources) if known.count(".") != 0)
            raise ModuleNotFoundError(f"no module named `{name}` in this runtime; it has {known}", name=name)
        return importlib.util.spec_from_loader(name, self, is_package=self.is_package(name))

    def is_package(self, name):
        return name == "mxcp" or any(other.startswith(name + ".") for other in self._sources)

    def get_source(self, name):
        return self._sources[name][1]

    def get_code(self, name):
        file, source = self._sources[name]
        return compile(source, f"<mxcp>/{file}", "exec", dont_inherit=True)


def install(sources):
    sys.meta_path.insert(0, Finder(sources))
    for name in [name for name in sys.modules if name == "mxcp" or name.startswith("mxcp.")]:
        del sys.modules[name]
    streams.install()


async def _settle(awaitable, reply):
    try:
        reply.value(await awaitable)
    except BaseException as error:
        reply.error(error)
    finally:
        _flush()


async def _collect(items):
    return [item async for item in items]


def _flush():
    streams.OUT.flush()
    streams.ERR.flush()


class Host:
    def __init__(self, *, root, python_path, plugin_path, venv, preload, site, user_config, secrets):
        global _latest
        self.root = os.fspath(root)
        self.python_dir = os.path.normpath(os.path.join(self.root, python_path))
        self.plugin_dir = os.path.normpath(os.path.join(self.root, plugin_path))
        self.preload = preload
        self.site = site
        self.user_config = user_config
        self.secrets = secrets
        self.plugins = {}
        self.udfs = []
        self.shutdown_hooks = []
        self._init_hooks = []
        self._new_init_hooks = []
        self._initialised = False
        self._modules = {}
        self._lock = threading.RLock()
        if venv is not None:
            path = os.path.normpath(os.path.join(self.root, os.fspath(venv)))
            inside = path.startswith(self.root + os.sep)
            environment.enter(path, os.path.relpath(path, self.root) if inside else path)
        self._path_entries = environment.add_paths([self.python_dir, self.root, self.plugin_dir])
        importlib.invalidate_caches()
        _latest = self

    # Modules

    def load(self, file):
        """The module of a file, imported on first use."""
        path = os.path.normpath(os.path.join(self.root, file))
        module = self._modules.get(path)
        if module is not None:
            return module
        with self._lock:
            module = self._modules.get(path)
            if module is not None:
                return module
            if not os.path.isfile(path):
                raise FileNotFoundError(f"no such file: `{file}`")
            module = self._import(path)
            self._modules[path] = module
            if self._initialised:
                problems = self._run_init_hooks()
                if problems:
                    raise problems[0]
            return module

    def _import(self, path):
        name = self._dotted_name(path)
        if name is not None and _finds(name, path):
            return importlib.import_module(name)
        stem = os.path.splitext(os.path.basename(path))[0]
        name = f"_mxcp_endpoint_{stem}_{zlib.crc32(os.fsencode(path)):08x}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None:
            raise ImportError(f"`{os.path.basename(path)}` is not a Python file", path=path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def _dotted_name(self, path):
        """The name that other code imports this file by, unless it means something else there."""
        relative = os.path.relpath(path, self.python_dir)
        parts = os.path.splitext(relative)[0].split(os.sep)
        if parts[-1] == "__init__":
            parts.pop()
        if not parts or not all(part.isidentifier() for part in parts):
            return None
        if parts[0] == "mxcp" or parts[0] in sys.stdlib_module_names:
            return None
        return ".".join(parts)

    def function(self, file, name):
        module = self.load(file)
        found = getattr(module, name, None)
        if not callable(found):
            raise AttributeError(f"Function '{name}' not found in {file}")
        return found

    # Hooks

    def add_init_hook(self, func):
        self._init_hooks.append(func)
        self._new_init_hooks.append(func)

    def _run_init_hooks(self):
        problems = []
        while self._new_init_hooks:
            problems += _problems_of(self._new_init_hooks.pop(0))
        return problems

    def init(self, call):
        return self._run(call, self._init)

    def _init(self):
        problems = []
        for file in self.preload:
            problems += _problems_of(lambda: self.load(file))
        problems += self._run_init_hooks()
        self._initialised = True
        return problems

    def suspend(self, call):
        """Runs the shutdown hooks and lets the plugins go; the modules stay as they are."""
        return self._run(call, self._suspend)

    def _suspend(self):
        problems = []
        for hook in list(self.shutdown_hooks):
            problems += _problems_of(hook)
        plugins, self.plugins = self.plugins, {}
        for _, plugin in sorted(plugins.items()):
            problems += _problems_of(getattr(plugin, "shutdown", None) or (lambda: None))
        return problems

    def resume(self, call):
        """Runs the init hooks again."""
        self._new_init_hooks = list(self._init_hooks)
        return self._run(call, self._run_init_hooks)

    def shutdown(self, call):
        return self._run(call, self._shutdown)

    def _shutdown(self):
        problems = self._suspend()
        self.shutdown_hooks.clear()
        self._modules.clear()
        environment.forget_modules([self.python_dir, self.plugin_dir])
        environment.remove_paths(self._path_entries)
        return problems

    # Calls

    def _run(self, call, function, *arguments):
        def run():
            _scope.set(Scope(self, call))
            try:
                return function(*arguments)
            finally:
                _flush()

        return contextvars.Context().run(run)

    def invoke(self, call, file, function, arguments, reply):
        """Calls a function. What goes on after this returned is a task, which is given back."""
        return self._run(call, self._invoke, file, function, arguments, reply)

    def _invoke(self, file, function, arguments, reply):
        try:
            result = self.function(file, function)(**arguments)
            if inspect.isasyncgen(result):
                result = _collect(result)
            if inspect.isawaitable(result):
                return loops.Task(_settle(result, reply)).start()
            # A generator runs only now, still inside the call.
            reply.value(result)
        except BaseException as error:
            reply.error(error)
        return None

    def run_payload(self, call, function):
        return self._run(call, _problems_of, function)

    # Plugins

    def start_plugins(self, call, configs):
        """Instantiates the plugins and lists their SQL functions: name, parameter types, return type."""
        return self._run(call, self._start_plugins, configs)

    def _start_plugins(self, configs):
        declared = []
        for name, module, config in configs:
            plugin_class = getattr(self._plugin_module(module), "MXCPPlugin", None)
            if not isinstance(plugin_class, type):
                raise TypeError(f"plugin `{name}`: module `{module}` has no class `MXCPPlugin`")
            plugin = plugin_class(config)
            self.plugins[name] = plugin
            declared += _functions_of(name, plugin)
        declared.sort(key=lambda function: function[0])
        for first, second in zip(declared, declared[1:]):
            if first[0] == second[0]:
                raise TypeError(f"two plugin functions are called `{first[0]}`")
        self.udfs = [(method, returns_struct) for _, _, _, method, returns_struct in declared]
        return [(name, parameters, returns) for name, parameters, returns, _, _ in declared]

    def _plugin_module(self, module):
        base = os.path.join(self.plugin_dir, *module.split("."))
        for path in (base + ".py", os.path.join(base, "__init__.py")):
            if os.path.isfile(path):
                if module.partition(".")[0] not in sys.stdlib_module_names and _finds(module, path):
                    return importlib.import_module(module)
                return self.load(path)
        return importlib.import_module(module)

    def call_udf(self, call, index, rows):
        return self._run(call, self._call_udf, index, rows)

    def _call_udf(self, index, rows):
        method, returns_struct = self.udfs[index]
        results = [method(*row) for row in rows]
        return [_fields(result) for result in results] if returns_struct else results


def _finds(name, path):
    """Whether importing the name gives the file."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            return False
        raise
    except ValueError:
        return False
    if spec is None or not spec.origin or not os.path.isfile(spec.origin):
        return False
    return os.path.samefile(spec.origin, path)


def _problems_of(function):
    try:
        result = function()
        if inspect.isawaitable(result):
            error = loops.wait(result)
            return [error] if error is not None else []
    except BaseException as error:
        return [error]
    return []


def _functions_of(name, plugin):
    import _mxcp_udf_types as udf_types

    declared = []
    for attribute in sorted(dir(type(plugin))):
        if not getattr(getattr(type(plugin), attribute, None), "__mxcp_udf__", False):
            continue
        method = getattr(plugin, attribute)
        try:
            signature = udf_types.signature(method)
        except (TypeError, NameError) as error:
            raise TypeError(f"plugin `{name}`: method `{attribute}`: {error}") from error
        if signature is None:
            _mxcp_native.emit(30, f"plugin `{name}`: method `{attribute}` has no return annotation and is skipped")
            continue
        parameters, returns = signature
        declared.append((f"{attribute}_{name}", parameters, returns, method, returns.startswith("STRUCT")))
    return declared


def _fields(value):
    """An object returned for a STRUCT, as the dict of its attributes."""
    if value is None or isinstance(value, dict) or simplify(value) is not NotImplemented:
        return value
    return {name: item for name, item in vars(value).items() if not name.startswith("_")}
