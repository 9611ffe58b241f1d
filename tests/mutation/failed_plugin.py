"""A pytest plugin: the first failing test's name into the file that MUTATION_FAILED names."""

import os
from pathlib import Path

FAILED = Path(os.environ["MUTATION_FAILED"])


def pytest_runtest_logreport(report):
    if report.failed and not FAILED.exists():
        FAILED.write_text(report.nodeid)


def pytest_collectreport(report):
    if report.failed and not FAILED.exists():
        FAILED.write_text(f"collecting {report.nodeid}")
