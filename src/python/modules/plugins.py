"""What plugin modules import."""

from mxcp.plugins.base import MXCPBasePlugin, on_shutdown, udf

__all__ = ["MXCPBasePlugin", "udf", "on_shutdown"]
