"""``kp`` itself: its commands, each imported when it is called for, and how errors reach the user."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, cast

import typer

from kpcore import __version__
from kpcore.cli.group import Group
from kpcore.errors import FULL, FaultError, FaultsError, InterruptError, KpError, system_error, visible
from kpcore.interrupts import broke_off, exit_code, stoppable
from kpcore.registry import registry

COMMANDS = {
    "init": "kpcore.cli.init:init",
    "run": "kpcore.cli.run:run",
    "report": "kpcore.cli.report:report",
    "compare": "kpcore.cli.compare:compare",
    "eval": "kpcore.cli.eval:evaluate",
    "predict": "kpcore.cli.predict:predict",
    "models": "kpcore.cli.models:app",
    "export": "kpcore.cli.export:export",
    "data": "kpcore.cli.data:app",
    "splits": "kpcore.cli.splits:app",
    "plugins": "kpcore.cli.plugins:app",
    "config": "kpcore.cli.config:app",
    "bench": "kpcore.cli.bench:bench",
    "cache": "kpcore.cli.cache:app",
    "doctor": "kpcore.cli.doctor:doctor",
}
"""Command -> the function or group that it is."""
NO_ROOM = "failed to map segment"
"""What the loader of libraries says where a process may have no more memory."""
FAILED = 1
INTERRUPTED = 130
WRONG_INPUT = 2


class Commands(Group):
    """The commands above and those of plugins, which are asked for only by ``--help`` or an unknown name."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return our commands, then those of plugins."""
        del ctx
        return [*COMMANDS, *(name for name in registry().commands() if name not in COMMANDS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, or None."""
        del ctx
        found = built_in(COMMANDS[cmd_name]) if cmd_name in COMMANDS else registry().commands().get(cmd_name)
        if found is None:
            return None
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


def built_in(address: str) -> typer.Typer:
    """Import "module:name"; a function becomes a command of its own."""
    module, _, name = address.partition(":")
    found = getattr(import_module(module), name)
    if isinstance(found, typer.Typer):
        return found
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command()(found)
    return single


app = typer.Typer(cls=Commands, add_completion=False, rich_markup_mode=None)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"kp {__version__}")
        raise typer.Exit


@app.callback()
def kp(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train a keypoint network on some keypoints, carry it to others, and compare that with training from scratch."""
    from kpcore.reading.budget import stated

    del version
    stated()  # a limit that is none is said once, here, and not of every file


def outcome(arguments: Sequence[str] | None = None) -> int:
    """Run ``kp`` and return its exit code; what the user can put right becomes one line on stderr."""
    try:
        with stoppable():  # before any plugin is imported: what an interrupt breaks off there is not always one
            result = typer.main.get_command(app).main(arguments, prog_name="kp", standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()  # here, where it can still be told
    except InterruptError as error:
        return interrupted(error)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stdout = None  # the reader has left: nothing more can be written, not even at exit
        return 1
    except (Exception, SystemExit) as error:
        line = for_people(error)
        if line is None:
            if not broke_off():
                raise
            return interrupted(InterruptError("", broke_off()))
        lines = error.lines if isinstance(error, FaultsError) else (line,)
        kind = FAILED if isinstance(error, FaultError) or _is_full(error) else WRONG_INPUT
        code = max(say(f"error: {' '.join(one.split())}", kind) for one in lines)
        for further in getattr(error, "more", ()):
            typer.echo(f"    {' '.join(visible(further).split())}", err=True)
        return code
    return interrupted(InterruptError("", broke_off() or signal.SIGINT)) if code == INTERRUPTED else code


def interrupted(error: InterruptError) -> int:
    """Say what stopped the command, and how to go on; return the signal's exit code. The terminal may be gone."""
    by = "" if error.number == signal.SIGINT else f" by {signal.Signals(error.number).name}"
    with suppress(OSError):
        say(f"interrupted{by}" + (f"; {error}" if str(error) else ""), INTERRUPTED)
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except OSError:
            setattr(sys, name, None)  # what is left of it cannot be written at exit either, which would be another code
    return exit_code(error.number)


def _is_full(error: BaseException) -> bool:
    """Whether a disk has no more room, whoever wanted to write on it."""
    return isinstance(error, OSError) and error.errno in FULL


def for_people(error: BaseException) -> str | None:
    """Return the one line of an error that the user can put right, or that is a plugin's; None where it is our bug."""
    if isinstance(error, KpError):
        return " ".join(str(error).split())
    if hasattr(error, "format_message"):  # a usage error: typer's own class, or click's in older versions of typer
        return " ".join(str(error.format_message()).split()) + " (see --help)"
    if _is_full(error):
        return f"{system_error(cast(OSError, error), 'a disk')}, and run the same command again"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ImportError) and NO_ROOM in str(error):
        return f"not enough memory to load a library ({' '.join(str(error).split())}); free some, or raise 'ulimit -v'"
    from kpcore.study.guard import blamed

    return blamed(error, registry())


def say(text: str, code: int) -> int:
    """Print one line on stderr and return the code."""
    typer.echo(f"kp: {visible(text)}", err=True)
    return code
