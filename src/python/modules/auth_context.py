"""The user of the running call."""

import _mxcp_host as _host

__all__ = ["UserContext", "get_user_context"]


class UserContext:
    """Who calls. Keys of the profile that have no field of their own are in `raw_profile`."""

    _FIELDS = ("provider", "user_id", "username", "email", "name", "avatar_url", "external_token")

    def __init__(self, profile):
        for field in self._FIELDS:
            setattr(self, field, profile.get(field))
        self.capabilities = list(profile.get("capabilities") or ())
        raw = profile.get("raw_profile")
        self.raw_profile = raw if isinstance(raw, dict) else dict(profile)

    def __repr__(self):
        return f"UserContext(provider={self.provider!r}, user_id={self.user_id!r}, username={self.username!r})"


def get_user_context():
    """The authenticated user, or None for an anonymous call and outside of calls."""
    scope = _host.scope()
    profile = scope.call.user if scope is not None else None
    return UserContext(profile) if isinstance(profile, dict) else None
