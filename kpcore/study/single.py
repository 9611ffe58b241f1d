"""Splits of one step: a plain training on one set of keypoints. Nothing is carried over, so most modes have no row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kpcore.errors import KpError
from kpcore.keypoints import KeypointSplit
from kpcore.study.study import Mode, Study


def modes_of(study: Study, split: KeypointSplit) -> tuple[Mode, ...]:
    """Return the modes that a split has rows of: all, or of a split of one step those that start from nothing."""
    if len(split.steps) > 1:
        return study.modes
    alone = [mode for mode in study.modes if not _matches(study, mode)]  # there is nothing that they could match
    return tuple(mode for mode in alone if from_nothing(mode, split))


def _matches(study: Study, mode: Mode) -> bool:
    table = study.config.modes.get(mode.name)
    return table is not None and bool(table.matches)


def from_nothing(mode: Mode, split: KeypointSplit) -> bool:
    """Whether a mode needs no other training: asked of its strategy for a split that has the first step twice.

    A strategy that fails here cannot tell, and counts as one that needs a source.
    """
    twice = replace(split, steps=split.steps[:1] * 2, columns=())
    try:
        return not mode.strategy.needs(twice, 1)
    except Exception:
        return False


def used_modes(study: Study, notice: Callable[[str], None]) -> Study:
    """Return the study with the modes that any split has rows of; a line says which are left out and why.

    Raises:
        KpError: a split of one step has no mode left, or ``study.baseline`` is left out everywhere.
    """
    singles = [split for split in study.splits if len(split.steps) == 1]
    for split in singles:
        if not modes_of(study, split):
            raise KpError(
                f"{study.file}: study.modes = {_names(study.modes)}: split '{split.name}' has one step, so there is"
                ' nothing that they could carry over; write modes = ["random"], or give the split a second step'
            )
    for line in _left_out(study, singles):
        notice(line)
    used = tuple(mode for mode in study.modes if any(mode in modes_of(study, split) for split in study.splits))
    baseline = study.config.study.baseline
    if baseline is not None and baseline not in [mode.name for mode in used]:
        raise KpError(
            f"{study.file}: study.baseline = '{baseline}' has no rows: every split has one step, and it carries over;"
            " leave study.baseline out"
        )
    return replace(study, modes=used)


def _left_out(study: Study, singles: list[KeypointSplit]) -> Iterator[str]:
    for split in singles:
        others = [mode for mode in study.modes if mode not in modes_of(study, split)]
        if others:
            yield (
                f"Split {split.name} has one step: a plain training on it; {_names(others)} would carry over from an"
                " earlier step and are left out."
            )
        stages = study.config.backbone.stages
        if len(stages) > 1:
            yield f"Split {split.name} has one step: its network has {stages[0]} stages, the first of backbone.stages."


def _names(modes: tuple[Mode, ...] | list[Mode]) -> str:
    return ", ".join(mode.name for mode in modes)
