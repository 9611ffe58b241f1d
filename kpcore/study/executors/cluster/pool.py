"""A study's jobs on the machines of a Ray cluster: for each worker there an actor of Ray stands in.

A worker that is lost, or the machine that it was on, is replaced where there is room, and its job is taken up once more
from the last checkpoint that has arrived here.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kpcore.errors import KpError
from kpcore.records.folder import JobFolder
from kpcore.registry import one_line
from kpcore.study.executors.child import FINISH, with_log
from kpcore.study.executors.cluster.connect import connected
from kpcore.study.executors.cluster.depot import Depot, before, line_of
from kpcore.study.executors.cluster.hand import Hand, Message, Task
from kpcore.study.executors.cluster.machines import check_device, first_of_its_kind, on, supply, usable
from kpcore.study.executors.cluster.nodes import Node, problem_of, setting
from kpcore.study.executors.here import prepared
from kpcore.study.executors.interface import Order, Pool, Run, State, lost_twice, staffed
from kpcore.study.executors.worker import BEAT
from kpcore.study.jobs import Job

PATIENCE = 60.0
"""Seconds after which it is said that the cluster has nothing free."""


@dataclass(frozen=True)
class Cluster:
    """An executor on a Ray cluster.

    Args:
        address: of it; "" for what the environment says, else this machine alone.
        jobs: at once, at most; None for what the machines hold.
    """

    address: str = ""
    jobs: int | None = None

    @contextmanager
    def open(self, run: Run) -> Iterator[Pool]:
        """Ask the machines, prepare the data, start workers there, and stop them at the end."""
        check_device(run.device)
        with connected(self.address, (self.jobs or 1) * run.device.threads) as ray:
            nodes = usable(ray, run)
            prepared(run)  # here, so that it is done once
            slots = min(self.jobs or len(run.missing), len(run.missing))
            with staffed(Hands(ray, run, supply(ray, run, nodes), slots)) as pool:
                yield pool


@dataclass(eq=False)
class Worker:
    """A worker on another machine.

    Args:
        number: among those of the study.
        node: that it is on.
        actor: that stands in for it.
        reply: to what it was asked last; None where it is not asked.
        process: its number there; 0 where it is not known yet.
        job: that it is at.
        told: whether its job has begun.
    """

    number: int
    node: Node
    actor: Any
    reply: Any
    process: int = 0
    job: Job | None = None
    told: bool = False

    def __str__(self) -> str:
        return f"worker {self.number} (process {self.process} on {self.node})"


class Hands:
    """Takes jobs, and hands each to a worker on a machine of the cluster.

    Args:
        ray: connected.
        run: what is run.
        nodes: that can train.
        most: workers at once.
    """

    def __init__(self, ray: Any, run: Run, nodes: list[Node], most: int) -> None:
        self.ray = ray
        self.run = run
        self.nodes = nodes
        self.most = most
        self.jobs = {job.key: job for job in run.plan.jobs}
        self.events = run.events
        self.order = pickle.dumps(Order.of(run.study, first_of_its_kind(run.device)))
        self.workers: list[Worker] = []
        self.count = 0
        self.waiting: list[tuple[Job, bool]] = []
        """Jobs that no worker has, and whether one had."""
        self.begun: set[str] = set()
        """Jobs that have told of an iteration."""
        self.again: set[str] = set()
        """Jobs whose worker was lost once."""
        self.ended: list[tuple[Job, State]] = []
        self.depot = Depot(run.events.notice)

    @property
    def slots(self) -> int:
        """How many workers there are, those too that Ray has yet to find room for: a job waits for the first of all."""
        return max(1, len(self.workers))

    # Workers

    def open(self) -> None:
        """Start workers; return when the first is there: the cluster may have others at work."""
        self._fill()
        began, told = time.monotonic(), False
        while self.workers and not any(worker.process for worker in self.workers):
            self._listen()
            if not told and time.monotonic() - began > PATIENCE:
                told = True
                self.events.notice("The cluster has nothing free at the moment; the study waits for it")

    def _fill(self) -> None:
        """Start workers where there is room, on the machine that has the fewest for its size first."""
        while len(self.workers) < self.most:
            used = {node.key: sum(worker.node is node for worker in self.workers) for node in self.nodes}
            free = [node for node in self.nodes if used[node.key] < node.slots]
            if not free:
                return
            self._add(min(free, key=lambda node: used[node.key] / node.slots))

    def _add(self, node: Node) -> None:
        self.count += 1
        device = self.run.device
        takes = {"num_gpus": 1, "num_cpus": 0} if device.torch.type == "cuda" else {"num_cpus": device.threads}
        made = self.ray.remote(max_restarts=0, max_task_retries=0, **takes)(Hand)
        actor = made.options(scheduling_strategy=on(self.ray, node.key)).remote(
            self.count, setting(), node.answer["cache"], self.order, node.shared
        )
        self.workers.append(Worker(self.count, node, actor, actor.ready.remote()))

    def finish(self) -> None:
        """Have the workers that are at a job save it and end, and take what they have saved."""
        replies = {}
        for worker in [one for one in self.workers if one.job is not None]:
            for reply in (worker.reply, worker.actor.finish.remote()):
                replies[reply] = worker
        deadline = time.monotonic() + FINISH
        for reply, worker in replies.items():  # in the order in which they were asked for
            try:
                messages = self.ray.get(reply, timeout=max(1.0, deadline - time.monotonic()))
            except self.ray.exceptions.RayError:
                continue
            for message in messages:
                if message[0] in ("checkpoint", "ended"):
                    self._take(worker, message)

    def stop(self) -> None:
        """End the workers, whatever they are at."""
        for worker in self.workers:
            self.ray.kill(worker.actor)
        self.depot.close()

    # Jobs

    def start(self, job: Job) -> None:
        """Have the job trained by the next worker that is idle."""
        self.waiting.append((job, False))

    def wait(self) -> tuple[Job, State]:
        """Pass on events until a job has ended, well or not."""
        while not self.ended:
            self._place()
            if self.workers:
                self._listen()
            else:
                self._nowhere()
        return self.ended.pop(0)

    def _nowhere(self) -> None:
        """Fail the jobs that wait, since there is no worker any more, and none can be started."""
        while self.waiting:
            job, _ = self.waiting.pop()
            self._end(job, State("failed", "no machine of the cluster is left; the same command goes on"))

    def _place(self) -> None:
        """Hand jobs that wait to workers that are idle."""
        for one in list(self.waiting):
            worker = next((worker for worker in self.workers if worker.process and worker.job is None), None)
            if worker is None:
                return
            job, again = one
            if not self.depot.hold(job, worker.node):
                continue  # another process has it
            self.waiting.remove(one)
            if not self.run.fresh and JobFolder.of(job.key).done:  # it has trained it meanwhile
                self._end(job, State("done", cached=True))
                continue
            try:
                self._hand(worker, job, again=again)
            except (KpError, OSError) as error:  # of files that it needs
                self._end(job, State("failed", line_of(error)))

    def _hand(self, worker: Worker, job: Job, *, again: bool) -> None:
        fresh = self.run.fresh and not (again and job.key in self.begun)  # what it has trained since is not thrown away
        if fresh and not worker.node.shared:  # where it is shared, the worker does so, when it has the job's lock
            JobFolder.of(job.key).drop_checkpoints()
        files = self.depot.give(job, worker.node)
        worker.job, worker.told = job, False
        worker.reply = worker.actor.start.remote(Task(job.key, fresh, again, files))

    # What workers tell

    def _listen(self) -> None:
        """Wait for a moment and take what workers tell."""
        replies = {worker.reply: worker for worker in self.workers if worker.reply is not None}
        if not replies:
            time.sleep(1.0)  # all that waits is trained by other processes
            return
        ready, _ = self.ray.wait(list(replies), num_returns=1, timeout=BEAT)
        if ready:
            ready, _ = self.ray.wait(list(replies), num_returns=len(replies), timeout=0)
        for worker in [replies[reply] for reply in ready]:
            try:
                messages = self.ray.get(worker.reply)
            except self.ray.exceptions.RayError as error:
                self._lost(worker, error)
                continue
            for message in messages:
                self._take(worker, message)
            worker.reply = None if worker.job is None else worker.actor.poll.remote()

    def _take(self, worker: Worker, message: Message) -> None:
        kind, key, *rest = message
        if kind == "ready":
            worker.process = rest[0]
        elif kind == "started":
            worker.process, worker.told = rest[0], True
            worker.node.has |= before(self.jobs[key])
        elif kind == "checkpoint":
            self.depot.keep(self.jobs[key], rest[0])
        elif kind == "ended":
            worker.job = None
            self._end(self.jobs[key], self.depot.take(self.jobs[key], rest[0], rest[1], worker.node))
        elif kind == "lost":
            worker.job = None
            self.depot.keep(self.jobs[key], rest[1])
            self._once_more(self.jobs[key], str(worker), rest[0])
        else:
            if key:
                self.begun.add(key)
            tell: Callable[..., None] = getattr(self.events, kind)
            tell(*([self.jobs[key]] if key else []), *rest)

    def _end(self, job: Job, state: State) -> None:
        self.depot.let_go(job.key)
        self.ended.append((job, state))

    def _lost(self, worker: Worker, error: Exception) -> None:
        """Take a worker away whose stand-in is gone; its job is taken up once more, elsewhere where its machine is."""
        self.workers.remove(worker)
        self.ray.kill(worker.actor)
        gone = self._gone(worker.node, error)
        if gone:
            self._leave(worker.node, "is gone")
        elif not worker.process:  # it never was there: the next one there would not be either
            self._leave(worker.node, f"starts no worker: {problem_of(error)}")
        job = worker.job
        if job is not None and gone and not worker.told:
            self.waiting.insert(0, (job, job.key in self.again))  # it was handed to a machine that was gone by then
        elif job is not None:
            self._once_more(job, str(worker), "was lost with its machine" if gone else self._why(error))
        self._fill()

    def _leave(self, node: Node, why: str) -> None:
        """Start no more workers on a machine."""
        if node in self.nodes:
            self.nodes.remove(node)
            self.events.notice(f"{node} {why}; {len(self.nodes)} left")

    def _why(self, error: Exception) -> str:
        """Return what became of a stand-in whose machine is there: its own error, or it is gone."""
        cause = getattr(error, "cause", None)
        return f"failed: {one_line(cause)}" if isinstance(cause, Exception) else "cannot be reached any more"

    def _gone(self, node: Node, error: Exception) -> bool:
        alive = {one["NodeID"] for one in self.ray.nodes() if one["Alive"]}
        return node.key not in alive or "node has died" in str(error)

    def _once_more(self, job: Job, who: str, why: str) -> None:
        """Have a job taken up from its last checkpoint that is here; fail it where that was done before."""
        if job.key in self.again:
            state = lost_twice(why)
            self._end(job, with_log(job.key, state))
            return
        self.again.add(job.key)
        self.events.notice(f"{job.name}: {who} {why}; another takes it up from its last checkpoint, if any")
        self.waiting.insert(0, (job, True))
