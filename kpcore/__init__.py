"""kpcore: the core of kptransfer. It knows no plugin; see kpcore.hooks for what a plugin can supply."""

from kpcore.hooks import hookimpl

__all__ = ["__version__", "hookimpl"]
__version__ = "0.1.0"
