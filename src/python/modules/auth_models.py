"""What is known about a user."""

__all__ = ["UserContext", "UserContextModel"]

_FIELDS = (
    "provider",
    "user_id",
    "username",
    "email",
    "name",
    "avatar_url",
    "raw_profile",
    "external_token",
    "capabilities",
)


class UserContextModel:
    """Who calls. Keys of the profile that have no field of their own are in `raw_profile`."""

    def __init__(self, provider, user_id, username, **fields):
        unknown = sorted(set(fields) - set(_FIELDS))
        if unknown:
            raise TypeError(f"a user has no field `{unknown[0]}`; it has {', '.join(_FIELDS)}")
        fields.update(provider=provider, user_id=user_id, username=username)
        for field in _FIELDS:
            setattr(self, field, fields.get(field))
        self.capabilities = list(self.capabilities or ())

    @classmethod
    def from_profile(cls, profile):
        """The user that a call carries."""
        raw = profile.get("raw_profile")
        fields = {field: profile.get(field) for field in _FIELDS}
        fields["raw_profile"] = raw if isinstance(raw, dict) else dict(profile)
        return cls(**fields)

    def model_dump(self, *, exclude=(), exclude_none=False, **_):
        """The fields as a dict."""
        fields = {field: getattr(self, field) for field in _FIELDS if field not in (exclude or ())}
        return {name: value for name, value in fields.items() if not (exclude_none and value is None)}

    dict = model_dump

    def __eq__(self, other):
        return isinstance(other, UserContextModel) and self.model_dump() == other.model_dump()

    __hash__ = None

    def __repr__(self):
        return f"UserContext(provider={self.provider!r}, user_id={self.user_id!r}, username={self.username!r})"


UserContext = UserContextModel
