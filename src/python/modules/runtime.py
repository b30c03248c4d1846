"""What endpoint code may use: the database, the configuration, plugins, messages and hooks."""

import collections.abc

import _mxcp_host as _host

__all__ = ["db", "config", "plugins", "mcp", "on_init", "on_shutdown", "reload_duckdb"]


class Database:
    """Access to the project's database, inside an endpoint or a hook."""

    def execute(self, query, params=None):
        """Runs a statement and returns its rows as a list of dicts. Parameters are a dict for `$name`, or a list for
        `?` and `$1`."""
        return _host.current().call.execute(query, params)


class Config:
    """The project's configuration and secrets, as resolved for the active profile."""

    def get_secret(self, name):
        """The parameters of a secret, or None."""
        secret = _host.current().host.secrets.get(name)
        return dict(secret) if isinstance(secret, dict) else secret

    def get_setting(self, key, default=None):
        """A value of the site configuration; dots lead into nested values."""
        value = _host.current().host.site
        if isinstance(value, dict) and key in value:
            return value[key]
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value

    @property
    def user_config(self):
        return _host.current().host.user_config

    @property
    def site_config(self):
        return _host.current().host.site


class Plugins:
    """The plugin instances by name."""

    def get(self, name):
        return _host.current().host.plugins.get(name)

    def list(self):
        return sorted(_host.current().host.plugins)


class _Done(collections.abc.Coroutine):
    """The work is done already: `await` it or not."""

    __slots__ = ()

    def send(self, value):
        raise StopIteration

    def throw(self, *error):
        raise error[0]

    def close(self):
        pass

    def __await__(self):
        return self
        yield


class Messages:
    """Messages and progress for the client. Usable with and without `await`."""

    def _log(self, level, message, extra):
        if extra:
            details = ", ".join(f"{name}={value!r}" for name, value in extra.items())
            message = f"{message} ({details})"
        _host.current().call.log(level, str(message))
        return _Done()

    def debug(self, message, **extra):
        return self._log("debug", message, extra)

    def info(self, message, **extra):
        return self._log("info", message, extra)

    def warning(self, message, **extra):
        return self._log("warning", message, extra)

    def error(self, message, **extra):
        return self._log("error", message, extra)

    def progress(self, progress=None, total=None, message=None, *, current=None):
        """`current` is another name for `progress`."""
        value = current if progress is None else progress
        if value is None:
            raise TypeError("`mcp.progress` needs the progress so far")
        _host.current().call.progress(value, total, message)
        return _Done()


def on_init(func):
    """Runs the function once after the project's modules are imported."""
    _host.registering_host().add_init_hook(func)
    return func


def on_shutdown(func):
    """Runs the function when the server stops or reloads."""
    _host.registering_host().shutdown_hooks.append(func)
    return func


def reload_duckdb(payload_func=None, description=""):
    """Asks the server to reload: when no call runs any more, it closes the database, runs the function, opens the
    database again and runs the hooks. Returns at once."""
    if payload_func is not None and not callable(payload_func):
        raise TypeError("`payload_func` must be a function without parameters")
    _host.current().call.reload(payload_func, description or "DuckDB reload via runtime API")


db = Database()
config = Config()
plugins = Plugins()
mcp = Messages()
