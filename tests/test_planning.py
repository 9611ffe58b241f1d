"""Jobs whose transfer plan does not hold, and those that start from them, are known before anything is trained."""

from types import SimpleNamespace

import pytest

from kpcore.study import planning


def job(name, *sources, mode="transfer"):
    split = SimpleNamespace(name="d")
    return SimpleNamespace(
        key=name, sources=sources, waits_for=sources, split=split, step=1, mode=mode, layout=(name.rstrip("01"),)
    )


@pytest.fixture
def asked(monkeypatch):
    """Keys of the jobs that were asked for a plan; one called "bad" has none."""
    keys = []

    def problem(study, job, spec):
        keys.append(job.key)
        return f"{job.key} has no plan" if job.key.startswith("bad") else ""

    monkeypatch.setattr(planning, "_problem", problem)
    return keys


STUDY = SimpleNamespace(spec=str)


def test_what_starts_from_a_broken_job_is_broken_for_its_reason_and_not_asked(asked):
    bad, good = job("bad"), job("good")
    child = job("child", good, bad)
    grandchild = job("grandchild", child)
    broken = planning.broken_jobs(STUDY, [good, bad, child, grandchild])
    assert broken == dict.fromkeys(("bad", "child", "grandchild"), "bad has no plan")
    assert asked == ["good", "bad"]


def test_seeds_share_a_plan(asked):
    broken = planning.broken_jobs(STUDY, [job("bad0"), job("bad1"), job("good0"), job("good1")])
    assert broken == {"bad0": "bad0 has no plan", "bad1": "bad0 has no plan"}
    assert asked == ["bad0", "good0"]
