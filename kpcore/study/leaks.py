"""Images of one data set that are trained on and scored: said, or left out of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from kpcore.audit.leaks import Leak, leaks_between
from kpcore.audit.shared import leak_text, remedy
from kpcore.errors import KpError
from kpcore.study.data import Notice, StudyData, left_out

Leaks = Literal["warn", "leave_out"]
BUDGET = 5_000
"""Samples of a data set up to which a study that only warns also looks for images that are nearly the same: that opens
each image once, some 4 ms each on one core, and is remembered in the cache."""


def without_leaks(data: Mapping[str, StudyData], setting: Leaks, notice: Notice) -> dict[str, StudyData]:
    """Return the data sets, training images left out that are also scored where ``evaluation.leaks`` says so.

    Raises:
        KpError: nothing would be left to train on.
    """
    return {name: _without(one, setting, notice) for name, one in data.items()}


def _without(one: StudyData, setting: Leaks, notice: Notice) -> StudyData:
    leaks = _leaks(one, thorough=setting == "leave_out")
    if not leaks:
        return one
    places = {*one.left_out, *(place for leak in leaks for place in leak.places)}
    training = len(one.dataset.samples("train"))
    told = "; ".join(f"{leak_text(leak, 'valid')} ({leak.count:,} such)" for leak in leaks)
    if setting == "warn":
        notice(f"warning: {one.label}, part 'train': {told}; {remedy(leaks, training)}")
        return replace(one, leaked=len(places.difference(one.left_out)))
    if len(places) == training:
        raise KpError(
            f'{one.label}: evaluation.leaks = "leave_out" leaves nothing to train on: {told}; set evaluation.leaks ='
            f' "warn"; {remedy(leaks, training)}'
        )
    notice(f"{one.label}: {left_out(len(places))}: {told}.")
    return replace(one, left_out=tuple(sorted(places)))


def _leaks(one: StudyData, *, thorough: bool) -> list[Leak]:
    train, valid = one.dataset.samples("train"), one.dataset.samples("valid")
    near = thorough or len(train) + len(valid) <= BUDGET
    return leaks_between(train, valid, near=near, videos=not one.sample)  # sample data is drawn frame by frame
