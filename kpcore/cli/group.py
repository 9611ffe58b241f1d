"""A group of commands: without arguments it shows its help, and an unknown command is told the nearest one."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from kpcore.errors import unknown


class Group(TyperGroup):
    """Typer's group with our manners. Contexts are ``Any``: typer used to take click's, and now brings its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help where no argument is given."""
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and the other arguments; raises KpError where no command has that name."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            place = ctx.command_path if ctx.parent else ""
            raise unknown("command", args[0], self.list_commands(ctx), where=place)
        return super().resolve_command(ctx, args)
