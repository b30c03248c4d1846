"""The user of the running call. Providers and sessions are the server's business and not offered here."""

from mxcp.sdk.auth.context import get_user_context, reset_user_context, set_user_context
from mxcp.sdk.auth.models import UserContext, UserContextModel

__all__ = ["UserContext", "UserContextModel", "get_user_context", "reset_user_context", "set_user_context"]
