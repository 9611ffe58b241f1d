"""Questions of a study that have no answer, or the same one twice: found before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kpcore.errors import KpError
from kpcore.study.jobs import Job, JobPlan
from kpcore.study.study import Study
from kpcore.study.views import TrainingImages, share_of
from kpcore.training.loop import epoch_iterations


def check_shares(study: Study) -> None:
    """Check that every share of the labels is other images, and has a name of its own.

    Raises:
        KpError: two shares are as many images, or are written alike.
    """
    shares = study.config.study.labels
    if len(shares) < 2:
        return
    images = TrainingImages(study)
    for dataset in dict.fromkeys(split.steps[-1].dataset for split in study.splits):
        of = f" of data set '{dataset}'" if dataset else ""
        count = images.count(dataset)
        _refuse_alike(shares, [share_of(count, share) for share in shares], f"{{}} of {count:,} training images{of}")
    _refuse_alike(shares, [f"{share:g}" for share in shares], "labels{} in the names of trainings")


def _refuse_alike(shares: Sequence[float], values: Sequence[object], what: str) -> None:
    first: dict[object, float] = {}
    for share, value in zip(shares, values, strict=True):
        if value in first:
            both = f"{first[value]!r} and {share!r} are both {what.format(value)}"
            raise KpError(f"study.labels: {both}; drop one of them")
        first[value] = share


def check_permuted(study: Study, jobs: Sequence[Job]) -> None:
    """Check that there is somebody else whose labels a permuted person could get.

    Raises:
        KpError: a job with permuted labels has one training sample.
    """
    images = TrainingImages(study)
    for job in jobs:
        if job.view.permuted and images.people(job.dataset) < 2:
            raise KpError(
                f"job {job.name}: 'permuted' gives every training sample another one's labels, and there is only one;"
                " train on two or more, or drop the mode"
            )


def same_answers(study: Study, plan: JobPlan) -> list[str]:
    """Return a line on each thing that a reader of the tables would trip over: modes that are one, rounded lengths."""
    return list(dict.fromkeys([*_same_sets(study), *_same_trainings(plan), *_rounded(study, plan)]))


def _same_sets(study: Study) -> Iterator[str]:
    for split in study.splits:
        first, last = split.steps[0], split.steps[-1]
        if len(split.steps) > 1 and (first.dataset, set(first.keypoints.names)) == (
            last.dataset, set(last.keypoints.names)
        ):  # fmt: skip
            yield (
                f"split '{split.name}': its first and its last set are the same keypoints of the same data, so"
                " 'transfer' is its own control: a mode with source = \"s2\" gives the same figures"
            )


def _same_trainings(plan: JobPlan) -> Iterator[str]:
    """Yield the modes of a split whose rows are the same jobs: where they differ in nothing that is trained."""
    jobs: dict[str, dict[str, list[str]]] = {}
    for row in plan.rows:
        jobs.setdefault(row.split.name, {}).setdefault(row.mode.name, []).append(row.job.key)
    for split, modes in jobs.items():
        first: dict[tuple[str, ...], str] = {}
        for mode, keys in modes.items():
            other = first.setdefault(tuple(keys), mode)
            if other != mode:
                yield f"split '{split}': modes '{other}' and '{mode}' are the same trainings, with the same figures"


def _rounded(study: Study, plan: JobPlan) -> Iterator[str]:
    """Yield a line on a mode that cannot be just as long as it should: epochs of other data are of other lengths."""
    settings, images = study.config.training, TrainingImages(study)
    for job in (one for one in plan.jobs if one.matches):
        mode = job.mode.name if job.mode else ""
        lengths = {one.dataset: epoch_iterations(settings, images.people(one.dataset)) for one in (job, *job.matches)}
        if len(set(lengths.values())) > 1:
            yield (
                f"mode '{mode}' trains for whole epochs of {lengths[job.dataset]:,} iterations, and epochs of what it"
                " matches are of another length: its iterations are rounded up to the next epoch"
            )
