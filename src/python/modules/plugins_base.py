"""The base class of plugins and the decorators for their methods."""

import _mxcp_host as _host

__all__ = ["MXCPBasePlugin", "udf", "on_shutdown"]


def udf(func):
    """Offers an annotated method to SQL as `<method>_<plugin name>`."""
    func.__mxcp_udf__ = True
    return func


def on_shutdown(func):
    """Runs the function when the server stops or reloads."""
    _host.registering_host().shutdown_hooks.append(func)
    return func


class MXCPBasePlugin:
    """Subclass it as `MXCPPlugin`; the configuration is a dict of texts."""

    def __init__(self, config, user_context=None):
        self._config = config
        self._user_context = user_context

    @property
    def user_context(self):
        """The user of the running call, or None."""
        if self._user_context is not None:
            return self._user_context
        from mxcp.sdk.auth.context import get_user_context

        return get_user_context()

    def _user(self, field):
        user = self.user_context
        return getattr(user, field, None) if user is not None else None

    def get_user_token(self):
        return self._user("external_token")

    def get_username(self):
        return self._user("username")

    def get_user_email(self):
        return self._user("email")

    def get_user_provider(self):
        return self._user("provider")

    def is_authenticated(self):
        return self.user_context is not None

    def shutdown(self):
        """Called when the server stops or reloads; override it to release resources."""
