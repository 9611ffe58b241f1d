"""Ray, found and connected to: without its dashboards, its statistics of use, and what it would print."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from secrets import token_hex
from typing import Any

from kpcore.cores import cores
from kpcore.errors import KpError
from kpcore.interrupts import SIGNALS
from kpcore.reading.opening import one_line
from kpcore.study.executors.cluster.head import started
from kpcore.training.process import undisturbed

ADDRESS = "RAY_ADDRESS"
"""Environment variable: of the cluster, where no option says one."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what it says of GPUs that an actor without one does not see
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what it says of machines that are gone, which is said in a line here
}
"""Environment variables of Ray, unless the user has set them; it reads them when it is imported."""
MODE, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"
OWN = (MODE, TOKEN, "RAY_AUTH_TOKEN_PATH")
"""Environment variables of how a cluster knows who may use it."""


def library() -> Any:
    """Return Ray; raises KpError where it is not installed, or cannot be imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logger = logging.getLogger("ray")
    logger.setLevel(logging.CRITICAL)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    try:
        return import_module("ray")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "ray"
        wrong = "is not installed" if missing else f"cannot be imported: {one_line(error)}"
        raise KpError(f"--executor ray: ray {wrong}; pip install 'kptransfer[ray]'") from None


@contextmanager
def connected(address: str, cpus: int) -> Iterator[Any]:
    """Be connected to a cluster within the block; gives Ray.

    Args:
        address: of the cluster, "host:port" or "auto"; "" for what the environment says, else this machine alone.
        cpus: of this machine alone, at least.

    Raises:
        KpError: Ray is not installed, or no cluster answers there.
    """
    address = address or os.environ.get(ADDRESS, "")
    check_address(address)
    with ExitStack() as stack:
        if not address:
            stack.enter_context(guarded())
        ray = library()
        where = address or stack.enter_context(started(max(cpus, cores())))
        if not where:
            raise KpError("--executor ray: Ray does not start on this machine; 'ray start --head' says why")
        stack.callback(ray.shutdown)
        _init(ray, where, said=address)
        yield ray


@contextmanager
def guarded() -> Iterator[None]:
    """Have a cluster of this machine alone know by a word of its own who may use it, unless the user has decided that.

    Ray reads it when it is imported.
    """
    if any(name in os.environ for name in OWN):
        yield
        return
    os.environ.update({MODE: "token", TOKEN: token_hex(32)})
    try:
        yield
    finally:
        for name in (MODE, TOKEN):
            os.environ.pop(name, None)


def check_address(address: str) -> None:
    """Raise KpError for an address of Ray's client, which cannot say on which machine a training is to run."""
    if "://" in address:
        raise KpError(
            f"--address {address}: give the cluster's own address, HOST:6379, and start kp on one of its machines"
        )


def _init(ray: Any, address: str, said: str) -> None:
    """Connect; Ray puts a handler of its own in the place of ours for SIGTERM, which is taken back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        with undisturbed():
            ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.CRITICAL)
    except Exception as error:
        problem = one_line(error, 200)
        raise KpError(f"--address {said or address}: no Ray cluster can be used there: {problem}") from None
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
