"""Fuzzing: does a damaged or crafted file bring a reader down, hang it, fill the memory, or lead it elsewhere?

    python tests/fuzz [--count N] [--seed S] [--only NAME] [--damaged] [--keep FOLDER]

Valid small files of every reader are damaged, N in all, evenly by reader: bits, ends, lengths, words, values of another
type, deep nesting, what lies behind a checksum. Then come the crafted ones. Each is read in a process of its own as a
command reads it, with 2 GB of memory and 10 s of processor time. It must be read, or be refused in one line. Equal
seeds damage equally. Linux alone has the limits that this needs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "helpers"), str(Path(__file__).parents[2])]


def main() -> int:
    """Run, print what failed and the counts, and return 1 where something did."""
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--count", type=int, default=3000)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--only", default="", help="a part of the name of what is damaged")
    words.add_argument("--damaged", action="store_true", help="leave the crafted ones out")
    words.add_argument("--keep", type=Path, help="folder for the files of what failed")
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["KP_CACHE_DIR"] = f"{place}/cache"
        from runs import Run

        run = Run(Path(place), asked.seed, asked.keep)
        start = time.monotonic()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):  # what is done counts
            if not asked.damaged:
                run.crafted(asked.only)
            run.mutated(asked.count, asked.only)
        print(run.report(time.monotonic() - start))
    return 1 if run.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
