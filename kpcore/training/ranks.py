"""The processes that train one job, each the images of its share of every batch; one by itself where nobody asks more.

Together they take the step that one process would take. What a network predicts is gathered: each process takes the
loss of the whole batch, so it is normalised by the labelled points of all of it, whatever a codec or a mode makes of
them. A process's gradients are those of its own images; their mean over the processes is the gradient of the batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kpcore.errors import FaultError, KpError
from kpcore.interrupts import Stopped, ask, check

Value = TypeVar("Value")
Loss = Callable[[Any], Tensor]
PATIENCE = "KP_PEER_MINUTES"
"""Environment variable: how many minutes a process waits for the others of its training."""
LOST = re.compile(
    r"gloo|nccl|ProcessGroup|TCPStore|time(d )?-?out|pair closure|connection (was )?(closed|reset)|broken pipe",
    re.IGNORECASE,
)
"""What torch says, in several kinds of errors, where another process has ended or does not answer."""
ANYTHING = re.compile("")
"""Any error at all: of calls that do nothing but wait for others."""


class PeerError(FaultError):
    """Another process of the training is gone, or does not answer."""


class FirstError(KpError):
    """The first process has failed, and says why."""


@dataclass(frozen=True)
class Ranks:
    """A process's place among those that train a job. This one trains by itself.

    Args:
        number: of this process, from 0; the first one alone validates, scores, writes and speaks.
        count: of all.
    """

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.number == 0

    def share(self, size: int) -> slice:
        """Return this process's places in a batch; raises KpError where it cannot be divided evenly."""
        del size
        return slice(None)

    def check(self, network: nn.Module, moving: Iterable[str], device: torch.device) -> None:
        """Raise KpError where statistics of batches, which these units take, cannot be had of whole ones."""

    def fit(self, network: nn.Module, device: torch.device) -> None:
        """Have BatchNorm take its statistics of the whole batch, in place."""

    def divided(self, network: nn.Module, loss: Loss) -> Loss:
        """Return a loss whose gradients are those of all processes; call it where all that ever trains needs one."""
        del network
        return loss

    def meeting(self) -> AbstractContextManager[None]:
        """Return a context for what waits for the others; raises PeerError where one is lost."""
        return nullcontext()

    def whole(self, share: Tensor) -> Tensor:
        """Return (B, ...), what every process has of a batch, in its order; without gradients."""
        return share

    def joined(self, shares: Sequence[Tensor]) -> list[Tensor]:
        """Return the whole batch's predictions, of which this process's own have gradients."""
        return list(shares)

    def agreed(self, due: bool, asked: int) -> tuple[bool, int]:
        """Return whether a checkpoint is due by the first process, and the number of a signal that any was sent."""
        return due, asked

    def stop(self, number: int) -> None:
        """Raise Stopped where a signal has asked for the end."""
        del number
        check()

    def of_first(self, work: Callable[[], Value]) -> Value:
        """Return what the first process makes; it alone does the work."""
        return work()

    def everyone(self, value: Value) -> list[Value]:
        """Return what each process has, by their numbers."""
        return [value]


@dataclass(frozen=True)
class Together(Ranks):
    """One of several; torch's default process group is theirs.

    Args:
        minutes: that it waits for the others.
    """

    minutes: float = 30.0

    def share(self, size: int) -> slice:
        """Return an equal share."""
        each, rest = divmod(size, self.count)
        if rest:
            fits = ", ".join(str(count) for count in range(1, size + 1) if size % count == 0)
            raise KpError(f"training.batch_size = {size}: {self.count} processes cannot share it; start {fits}")
        return slice(self.number * each, (self.number + 1) * each)

    def check(self, network: nn.Module, moving: Iterable[str], device: torch.device) -> None:
        """Refuse BatchNorm that trains elsewhere than on GPUs, for which alone torch has SyncBatchNorm."""
        for unit in moving if device.type != "cuda" else ():
            if any(isinstance(module, _BatchNorm) for module in network.get_submodule(unit).modules()):
                raise KpError(
                    f"several processes on {device.type}: '{unit}' trains with BatchNorm, whose statistics torch takes"
                    " over processes on GPUs only; train on GPUs, or in one process"
                )

    def fit(self, network: nn.Module, device: torch.device) -> None:
        """Take SyncBatchNorm."""
        if device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]

    def divided(self, network: nn.Module, loss: Loss) -> Loss:
        """Wrap it in DistributedDataParallel, which sums gradients while they are made."""
        # The loss is within, so that what does not reach it is left without a gradient, as in one process: a unit that
        # thaws later, a head that nobody supervises.
        with self.meeting():
            return nn.parallel.DistributedDataParallel(_Loss(network, loss), find_unused_parameters=True)

    def meeting(self) -> AbstractContextManager[None]:
        """Turn what torch says of a lost process into a line, among other work."""
        return self._meeting(LOST)

    @contextmanager
    def _meeting(self, said: re.Pattern[str] = ANYTHING) -> Iterator[None]:
        """Turn errors that say this into a line; of what does nothing but meet, any does."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) or not said.search(str(error)):
                raise
            raise PeerError(
                f"one of the {self.count} processes of this training has ended, or has not answered for"
                f" {self.minutes:g} min ({PATIENCE}); started again, it goes on from its last checkpoint"
            ) from error

    def whole(self, share: Tensor) -> Tensor:
        """Gather the bytes: not every backend knows every type of numbers."""
        content = share.detach().contiguous()
        parts = [torch.empty_like(content) for _ in range(self.count)]
        with self._meeting():
            dist.all_gather([part.view(torch.uint8) for part in parts], content.view(torch.uint8))
        return torch.cat(parts)

    def joined(self, shares: Sequence[Tensor]) -> list[Tensor]:
        """Gather them."""
        return [_Joined.apply(share, self) for share in shares]

    def agreed(self, due: bool, asked: int) -> tuple[bool, int]:
        """Ask all."""
        told = torch.tensor([int(due and self.first), asked])
        with self._meeting():
            dist.all_reduce(told, dist.ReduceOp.MAX)
        return bool(told[0]), int(told[1])

    def stop(self, number: int) -> None:
        """Stop with the others, asked or not; a signal that only this process knows of waits until all do."""
        if number:
            ask(number)
            check()

    def of_first(self, work: Callable[[], Value]) -> Value:
        """Have the first process work, and tell the others what came of it.

        Raises:
            Stopped: the first process was stopped meanwhile.
            FirstError: it failed.
        """
        if not self.first:
            return cast(Value, self._heard())
        try:
            value = work()
        except BaseException as error:
            self._tell((error.number, None) if isinstance(error, Stopped) else (-1, None))
            raise
        self._tell((0, value))
        return value

    def _heard(self) -> Any:
        number, value = self._tell(None)
        if number < 0:
            raise FirstError("the first process has failed")
        self.stop(number)
        return value

    def _tell(self, value: Any) -> Any:
        told = [value]
        with self._meeting():
            dist.broadcast_object_list(told)
        return told[0]

    def everyone(self, value: Value) -> list[Value]:
        """Gather them."""
        found: list[Any] = [None] * self.count
        with self._meeting():
            dist.all_gather_object(found, value)
        return found


class _Loss(nn.Module):
    """A network with its loss, as one module."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(self, step: Any) -> Tensor:
        return self.loss(step)


class _Joined(torch.autograd.Function):
    """The whole batch's predictions.

    Every process has the same loss of them, and passes back the gradient of its own share, times the number of
    processes: DistributedDataParallel takes the mean. What reaches a parameter past the predictions (a pull back to the
    source's weights) is the same in all processes, and so is its mean.
    """

    @staticmethod
    def forward(ctx: Any, share: Tensor, ranks: Together) -> Tensor:
        ctx.count, size = ranks.count, len(share)
        ctx.share = slice(ranks.number * size, (ranks.number + 1) * size)
        return ranks.whole(share)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.count * gradient[ctx.share], None
