"""A cluster of this machine alone, in a process of its own that lives as long as the one that has started it.

So signals that are sent to a whole group of processes, by a scheduler or a terminal that is closed, do not reach it:
trainings can write their checkpoints. It is run as a script, so that it loads Ray and nothing else.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAID = "kp: address "
OBJECTS = 256 << 20
"""Bytes of Ray's store of objects: on one machine all is found in the cache, and little is sent."""
PATIENCE = 60.0
"""Seconds that Ray has to end."""


@contextmanager
def started(cpus: int) -> Iterator[str]:
    """Start one that has so many CPUs, and the machine's GPUs, for the block; gives its address, "" where it failed."""
    places = [place for place in sys.path if place]
    process = subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__)), str(cpus)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield next((line.removeprefix(SAID).strip() for line in process.stdout if line.startswith(SAID)), "")
    finally:
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main(cpus: int) -> None:
    """Start it, say its address, and end it when nobody listens any more."""
    import ray

    context = ray.init(
        address="local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, object_store_memory=OBJECTS
    )
    print(f"{SAID}{context.address_info['gcs_address']}", flush=True)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
