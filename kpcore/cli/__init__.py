"""The command ``kp``: one file a command, each of which parses, calls and prints."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``kp`` and exit: 0 done, 1 a study with failed jobs, 2 wrong input, 128 + N stopped by signal N."""
    try:
        from kpcore.cli.app import outcome  # here, so that an interrupt while it is imported is no traceback
        from kpcore.reading.quiet import spare_stderr

        spare_stderr()
        code = outcome(arguments)
    except (KeyboardInterrupt, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(error.__cause__, KeyboardInterrupt):
            raise  # an interrupt within __set_name__ becomes one, in Python 3.11
        sys.stderr.write("kp: interrupted\n")
        code = 130
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # from here on they have nothing to stop, but might be a traceback
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    forget_interrupt()
    sys.exit(code)


def forget_interrupt() -> None:
    """Have ``python -m kpcore`` exit with its code, although an interrupt has left code that a library ran as text.

    CPython notes an interrupt that leaves code of ``exec`` (data classes and named tuples are made by it), though it is
    caught further up; a module that was run by ``-m`` then ends by SIGINT instead of its exit code (CPython's
    ``run_eval_code_obj`` and ``exit_sigint``). Running any text clears the note, and Python has no call that does.
    """
    exec("")
