"""What ``kp run`` is told of where trainings run: executor, address, device or devices, how many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpcore.config import TrainingTable
    from kpcore.study.executors import Executor
    from kpcore.training.device import Device

EXECUTORS = ("local", "ray")


@dataclass(frozen=True)
class Places:
    """The options as they were given.

    Args:
        executor: one of :data:`EXECUTORS`.
        address: of a Ray cluster.
        device: of all trainings.
        devices: that trainings share, with commas between them.
        jobs: trainings at once.
    """

    executor: str
    address: str | None
    device: str | None
    devices: str | None
    jobs: int | None

    def check_options(self, *, single: bool) -> None:
        """Raise KpError for options that do not go together.

        Args:
            single: whether single jobs are named.
        """
        from kpcore.errors import KpError, unknown

        if self.executor not in EXECUTORS:
            raise unknown("executor", self.executor, EXECUTORS, where="--executor")
        if self.address is not None and self.executor != "ray":
            raise KpError("--address: is of a Ray cluster; give --executor ray too")
        if single and (self.executor == "ray" or self.devices is not None):
            other = "--executor ray" if self.executor == "ray" else "--devices"
            raise KpError(f"--job: trains on one device of this machine; leave {other} out, or --job")
        if self.devices is not None and self.device is not None:
            raise KpError("--devices and --device: give one of them")
        if self.devices is not None and self.executor == "ray":
            raise KpError("--devices: shares the devices of this machine; with --executor ray give --device cuda")

    def check_devices(self) -> None:
        """Raise KpError for devices that cannot be shared."""
        from kpcore.training.device import available

        if self.devices is not None:
            check_names(self.names, available())

    @property
    def names(self) -> list[str]:
        """The devices of ``--devices``, by their full names."""
        names = [name.strip() for name in (self.devices or "").split(",")]
        return ["cuda:0" if name == "cuda" else name for name in names]

    @property
    def first(self) -> str | None:
        """The device that the study is planned for."""
        return self.device if self.devices is None else self.names[0]

    def at_once(self, where: Device) -> int:
        """Return how many trainings run at once; 0 where the cluster says it."""
        from kpcore.training.device import jobs_at_once

        if self.jobs is not None:
            return self.jobs
        if self.executor == "ray":
            return 0
        return len(self.names) if self.devices is not None else jobs_at_once(where)

    def open(self, settings: TrainingTable, where: Device) -> Executor:
        """Return what runs the trainings; raises KpError where a device does not compute as the others do."""
        from kpcore.study.executors import local

        if self.executor == "ray":
            from kpcore.study.executors.cluster import Cluster

            return Cluster(self.address or "", self.jobs)
        return local(self.at_once(where), self._shared(settings) if self.devices is not None else ())

    def _shared(self, settings: TrainingTable) -> Sequence[Device]:
        from kpcore.errors import KpError
        from kpcore.training.device import choose_device

        found = [choose_device(name, settings.precision, settings.threads) for name in self.names]
        other = next((one for one in found if one.precision != found[0].precision), None)
        if other is not None:
            raise KpError(
                f"--devices: {found[0].torch} computes in {found[0].precision} and {other.torch} in {other.precision};"
                " set training.precision for all"
            )
        return found


def check_names(names: Sequence[str], exist: Sequence[str]) -> None:
    """Raise KpError for devices that are not there, are there twice, or are of several kinds.

    Args:
        names: in full.
        exist: those of this machine.
    """
    from kpcore.errors import KpError, unknown

    for place, name in enumerate(names):
        if name not in exist:
            raise unknown("device", name, exist, where="--devices")
        if name in names[:place]:
            raise KpError(f"--devices: {name} is there twice; for several trainings at once on one device give --jobs")
    kinds = sorted({name.partition(":")[0] for name in names})
    if len(kinds) > 1:
        raise KpError(f"--devices: {' and '.join(kinds)} compute differently; give devices of one kind")
