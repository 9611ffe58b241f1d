"""The whole plugin surface on one screen.

A plugin is a module named by an entry point of the group ``kpcore``. It holds functions with the names below, marked
with ``@hookimpl``, and imports its classes inside them, so that listing plugins stays fast. Each component hook returns
a mapping from the name that study files use to the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import typer

    from kpcore.interfaces import Backbone, Codec, Dataset, Generator, Metric, Split, Tracker, TransferStrategy, Writer

GROUP = "kpcore"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def kp_datasets() -> Mapping[str, type[Dataset]]:
    """Return data sets by name."""


@hookspec
def kp_generators() -> Mapping[str, type[Generator]]:
    """Return generators of synthetic data sets by name."""


@hookspec
def kp_backbones() -> Mapping[str, type[Backbone]]:
    """Return backbones by name."""


@hookspec
def kp_splits() -> Mapping[str, type[Split]]:
    """Return split rules by name."""


@hookspec
def kp_strategies() -> Mapping[str, type[TransferStrategy]]:
    """Return transfer strategies by name."""


@hookspec
def kp_codecs() -> Mapping[str, type[Codec]]:
    """Return codecs by name."""


@hookspec
def kp_metrics() -> Mapping[str, type[Metric]]:
    """Return metrics by name."""


@hookspec
def kp_writers() -> Mapping[str, type[Writer]]:
    """Return writers of predictions by name."""


@hookspec
def kp_trackers() -> Mapping[str, type[Tracker]]:
    """Return trackers, what ``kp run --track`` shows studies in, by name."""


@hookspec
def kp_weight_rules() -> Mapping[str, Path]:
    """Return files of rules (TOML) by name: how ``kp models import`` takes another program's weights over."""


@hookspec
def kp_commands() -> Mapping[str, typer.Typer]:
    """Return sub-commands of ``kp`` by name; asked for only when a user calls an unknown command or ``kp --help``."""


@hookspec
def kp_study_started(study: Mapping[str, Any]) -> None:
    """A study starts to run, or goes on.

    Args:
        study: ``name``, ``folder`` of its results, ``preset``, ``data`` (label, with ``sample data`` where it is so),
            ``settings`` (the resolved study file), ``jobs`` (as for ``kp_job_started``, without ``settings``).
    """


@hookspec
def kp_study_ended(study: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """A study ended: all its files are written, tables, curves and page too.

    Args:
        study: ``name``, ``folder``.
        results: the object of ``results.json``, with every row's status and scores.
    """


@hookspec
def kp_job_started(job: Mapping[str, Any]) -> None:
    """A job starts.

    Args:
        job: ``key``, ``name``, ``split``, ``mode`` ("" where modes share it), ``seed``, ``study`` (its name),
            ``study_folder``, ``settings``.
    """


@hookspec
def kp_epoch_ended(job: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """An epoch ended.

    Args:
        job: as for ``kp_job_started``, without ``settings``.
        record: the epoch's line of ``history.jsonl``: ``epoch`` (from 1), ``iterations``, ``loss``, ``validation``, ...
    """


@hookspec
def kp_job_finished(job: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """A job ended, or was found in the cache and never started.

    Args:
        job: as for ``kp_job_started``, without ``settings``.
        result: ``status`` ("done" or "failed"), ``cached`` (whether it was done before), ``reason``, ``folder`` of its
            files.
    """
