"""Which machines of a cluster can train a study, how many jobs at once, and the prepared crops that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from kpcore.errors import KpError, size
from kpcore.study.executors.cluster.nodes import Answer, Node, Question, asked, look, problem_of, unanswered
from kpcore.study.executors.cluster.stores import Keeper, send
from kpcore.study.executors.interface import Run
from kpcore.study.workshop import wanted_stores
from kpcore.training.device import Device


def check_device(device: Device) -> None:
    """Raise KpError for a device that Ray does not deal out."""
    if device.torch.type not in ("cpu", "cuda"):
        raise KpError(f"--executor ray: deals out CPUs and CUDA GPUs, not {device.torch}; give --device cpu")


def first_of_its_kind(device: Device) -> Device:
    """Return the device as a worker sees it, to whom Ray shows one GPU alone."""
    return replace(device, torch=torch.device("cuda:0")) if device.torch.type == "cuda" else device


def usable(ray: Any, run: Run) -> list[Node]:
    """Return the machines that can train, and say of each how, or why it cannot.

    Raises:
        KpError: none can.
    """
    alive = [one for one in ray.nodes() if one["Alive"]]
    run.events.notice(f"Asking {len(alive)} {'machine' if len(alive) == 1 else 'machines'} of the cluster ...")
    with asked(run) as question:
        answers = _answered(ray, [one["NodeID"] for one in alive], question)
    nodes, refused = [], []
    for one, answer in zip(alive, answers, strict=True):
        node = Node(one["NodeID"], one["NodeManagerAddress"], slots(one["Resources"], run.device, answer), answer)
        problem = answer["problem"] or ("" if node.slots else f"has too few {_taken(run.device)}")
        if problem:
            refused.append(f"{node}: {problem}")
        else:
            nodes.append(node)
    if not nodes:
        raise KpError(f"--executor ray: no machine of the cluster can train: {'; '.join(refused) or 'there is none'}")
    for line in refused:
        run.events.notice(f"{line}; it gets no jobs")
    for node in nodes:
        way = "in this cache, which it sees" if node.shared else "files are sent and fetched through Ray"
        run.events.notice(f"{node}: up to {node.slots} at once, {way}")
    return nodes


def _answered(ray: Any, keys: Sequence[str], question: Question) -> list[Answer]:
    """Return what each machine answers; what goes wrong there is an answer too."""
    ask = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(look)
    answers: list[Answer] = []
    for reply in [ask.options(scheduling_strategy=on(ray, key)).remote(question) for key in keys]:
        try:
            answers.append(ray.get(reply))
        except Exception as error:  # Ray raises what the other side has raised
            answers.append(unanswered(error))
    return answers


def on(ray: Any, key: str) -> Any:
    """Return what makes Ray run something on this machine and no other."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(key, soft=False)


def slots(resources: dict[str, float], device: Device, answer: Answer) -> int:
    """Return how many jobs a machine runs at once: a GPU each, or CPUs as its threads and memory for each."""
    if device.torch.type == "cuda":
        return int(resources.get("GPU", 0))
    return min(int(resources.get("CPU", 0) // device.threads), answer["most"])


def _taken(device: Device) -> str:
    return "GPUs: a job takes one" if device.torch.type == "cuda" else f"CPUs: a job takes {device.threads}"


def supply(ray: Any, run: Run, nodes: Sequence[Node]) -> list[Node]:
    """Send the prepared crops to machines that do not see this cache; return those that have what they need.

    Raises:
        KpError: none has.
    """
    ready, problem = [], ""
    for node in nodes:
        try:
            if not node.shared:
                _supply(ray, run, node)
            ready.append(node)
        except ray.exceptions.RayError as error:
            problem = f"{node}: {problem_of(error)}"
            run.events.notice(f"{problem}; it gets no jobs")
    if not ready:
        raise KpError(f"--executor ray: the prepared crops reach no machine: {problem}")
    return ready


def _supply(ray: Any, run: Run, node: Node) -> None:
    """Send a machine what it lacks of the stores that are here."""
    paths = {store.path.name: store.path for store in wanted_stores(run.study) if store.path.exists()}
    made = ray.remote(num_cpus=0)(Keeper)
    keeper = made.options(scheduling_strategy=on(ray, node.key)).remote(node.answer["cache"])
    try:
        if missing := ray.get(keeper.lacking.remote(list(paths))):
            total = size(sum(paths[name].stat().st_size for name in missing))
            run.events.notice(f"{node}: gets {len(missing)} of the prepared stores, {total}")
        for name in missing:
            send(ray, paths[name], keeper)
    finally:
        ray.kill(keeper)
