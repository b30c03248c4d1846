"""The surroundings of the running call, by key."""

import contextvars

import _mxcp_host as _host
from mxcp.sdk.auth.context import get_user_context as _get_user_context

__all__ = ["ExecutionContext", "get_execution_context", "reset_execution_context", "set_execution_context"]

_set = contextvars.ContextVar("mxcp_execution", default=None)


class Headers(dict):
    """Request headers: lower-case names, found in any case."""

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


class ExecutionContext:
    """Values by key: `user_config`, `site_config`, `request_headers`, `transport`, `mcp`, and what code adds."""

    def __init__(self, user_context=None, _data=None):
        self.user_context = user_context
        self._data = dict(_data or {})

    def get(self, key, default=None):
        return self._data.get(key, default)

    def set(self, key, value):
        self._data[key] = value

    update = set

    def copy(self, **fields):
        copied = ExecutionContext(self.user_context, self._data)
        for name, value in fields.items():
            if not hasattr(copied, name):
                raise ValueError(f"Invalid field: {name}")
            setattr(copied, name, value)
        return copied

    def has_user_info(self):
        return self.username is not None

    def _of_user(field):
        return property(lambda self: getattr(self.user_context, field, None))

    user_id = _of_user("user_id")
    username = _of_user("username")
    provider = _of_user("provider")
    external_token = _of_user("external_token")
    email = _of_user("email")
    del _of_user


def get_execution_context():
    """The context of the running call, or None outside of calls."""
    found = _set.get()
    scope = _host.scope()
    if found is not None or scope is None:
        return found
    if scope.values is None:
        from mxcp.runtime import mcp

        call, host = scope.call, scope.host
        values = {
            "user_config": host.user_config,
            "site_config": host.site,
            "transport": call.transport,
            "mcp": mcp,
            "duckdb_runtime": _Runtime(host),
        }
        if call.headers:
            values["request_headers"] = Headers(call.headers)
        scope.values = ExecutionContext(_get_user_context(), values)
    return scope.values


def set_execution_context(context):
    """What `get_execution_context` gives from here on in this context. The database does not change."""
    return _set.set(context)


def reset_execution_context(token):
    _set.reset(token)


class _Runtime:
    """The database and the plugins, for code that asks the context for them."""

    def __init__(self, host):
        self._host = host

    @property
    def plugins(self):
        return self._host.plugins

    def get_connection(self):
        return _Connection()


class _Connection:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def execute_query_to_dict(self, query, params=None):
        return _host.current().call.execute(query, params)
