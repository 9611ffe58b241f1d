"""The command ``kp``: one file a command, each of which parses, calls and prints."""

from kpcore.cli.app import main

__all__ = ["main"]
