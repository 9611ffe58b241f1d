"""Two nodes of a Ray cluster on this machine, in a process of their own: what is written to it kills the second.

As a script: ``python ray_nodes.py NAME=VALUE NAME=VALUE``; each node has one CPU, and a variable of its environment, or
none ("-").
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAID = "address: "
QUICK = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}
"""So that Ray finds out within seconds that a node is gone."""


def environment() -> dict[str, str]:
    """Return variables by which a cluster lets a program in that has them too, and says nothing to anybody."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}


class Nodes:
    """The two nodes.

    Args:
        address: of the cluster.
        process: that has them.
    """

    def __init__(self, address: str, process: subprocess.Popen[str]) -> None:
        self.address = address
        self.process = process

    def kill_second(self) -> None:
        """Kill the second node and all that Ray has there; returns when that is done."""
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert "killed" in self.process.stdout.readline()


@contextmanager
def two_nodes(first: str, second: str) -> Iterator[Nodes]:
    """Have two nodes for the block, each with a variable of its own ("NAME=VALUE") or without ("-")."""
    words = [sys.executable, "-P", str(Path(__file__)), first, second]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said = next((line for line in process.stdout if line.startswith(SAID)), "")
            assert said, "Ray did not start"
            yield Nodes(said.removeprefix(SAID).strip(), process)
        finally:
            process.stdin.close()
            process.wait(60)


def main(own: list[str]) -> None:
    """Start the nodes, say where, and do as is written."""
    from ray.cluster_utils import Cluster

    variables = [dict([one.split("=", 1)]) if one != "-" else {} for one in own]
    cluster = Cluster()
    cluster.add_node(num_cpus=1, env_vars=variables[0], include_dashboard=False, _system_config=QUICK)
    second = cluster.add_node(num_cpus=1, env_vars=variables[1])
    print(f"{SAID}{cluster.address}", flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
            print("killed", flush=True)
    cluster.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
