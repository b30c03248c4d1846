"""What endpoint code may use: the database, the configuration, plugins, messages and hooks."""

import base64
import collections.abc

import _mxcp_host as _host

__all__ = ["db", "config", "content", "plugins", "mcp", "on_init", "on_shutdown", "reload_duckdb"]


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


    def elicit(self, message, schema, *, name=None):
        """Asks the user: `schema` is a JSON Schema object of plain fields. The answer is a dict with `action`
        (`accept`, `decline` or `cancel`) and, when accepted, `content`."""
        return self._one(name, "elicitation/create", {"message": message, "requestedSchema": schema})

    def sample(self, messages, max_tokens=1000, *, name=None, **more):
        """Asks the client's model. `messages` is a text or a list of messages of the protocol; the answer is a dict
        with `role`, `content` and `model`."""
        if isinstance(messages, str):
            messages = [{"role": "user", "content": {"type": "text", "text": messages}}]
        return self._one(name, "sampling/createMessage", {"messages": messages, "maxTokens": max_tokens, **more})

    def roots(self, *, name=None):
        """The folders that the client works in: a dict with the list `roots`."""
        return self._one(name, "roots/list", {})

    def ask(self, **questions):
        """Several questions at once, each as `(method, params)`; a dict of the answers by name."""
        asked = [(name, method, params) for name, (method, params) in questions.items()]
        return _Answer(zip(questions, _ask(asked)))

    def _one(self, name, method, params):
        if name is None:
            # The same name each time the code runs again, as long as it asks in the same order.
            counts = _host.current().questions
            counts[method] = counts.get(method, 0) + 1
            name = f"{method.partition('/')[0]}-{counts[method]}"
        return _Answer(_ask([(name, method, params)])[0])


class _InputRequired(BaseException):
    """Ends the code: the client is asked, and calls again with its answers."""


class _Answer(dict):
    """A dict that may be awaited."""

    def __await__(self):
        return self
        yield


def _ask(questions):
    answers = _host.current().call.ask(questions)
    if answers is None:
        raise _InputRequired("the client is asked first")
    for (name, method, _), answer in zip(questions, answers):
        if not isinstance(answer, dict):
            raise RuntimeError(f"the client's answer to `{name}` ({method}) is malformed")
    return answers


class _ContentBlock(dict):
    """What is shown as it is, not as JSON text."""

    def __init__(self, **fields):
        super().__init__({"mcp:content": {name: value for name, value in fields.items() if value is not None}})


class ContentBlocks:
    """Blocks that a tool may return, alone or in a list, instead of data. Such a tool declares no `return`."""

    def text(self, text):
        return _ContentBlock(type="text", text=text)

    def image(self, data, mime_type):
        """`data` as bytes or as base64 text."""
        return _ContentBlock(type="image", data=_base64(data), mimeType=mime_type)

    def audio(self, data, mime_type):
        return _ContentBlock(type="audio", data=_base64(data), mimeType=mime_type)

    def resource(self, uri, *, text=None, blob=None, mime_type=None):
        """A resource with its text, or with its bytes as `blob`."""
        if (text is None) == (blob is None):
            raise TypeError("a resource has `text` or `blob`")
        inner = {"uri": uri, "mimeType": mime_type, "text": text, "blob": None if blob is None else _base64(blob)}
        return _ContentBlock(type="resource", resource={k: v for k, v in inner.items() if v is not None})

    def link(self, uri, name, *, description=None, mime_type=None):
        """A resource that the client may read."""
        return _ContentBlock(type="resource_link", uri=uri, name=name, description=description, mimeType=mime_type)


def _base64(data):
    return data if isinstance(data, str) else base64.b64encode(data).decode("ascii")


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
content = ContentBlocks()
