"""The user of the running call."""

import contextvars

import _mxcp_host as _host
from mxcp.sdk.auth.models import UserContext

__all__ = ["UserContext", "get_user_context", "reset_user_context", "set_user_context"]

_UNSET = object()
_played = contextvars.ContextVar("mxcp_user", default=_UNSET)


def get_user_context():
    """The authenticated user, or None for an anonymous call and outside of calls."""
    played = _played.get()
    if played is not _UNSET:
        return played
    scope = _host.scope()
    profile = scope.call.user if scope is not None else None
    return UserContext.from_profile(profile) if isinstance(profile, dict) else None


def set_user_context(user):
    """What `get_user_context` gives from here on in this context. Policies and SQL do not change."""
    return _played.set(user)


def reset_user_context(token):
    _played.reset(token)
