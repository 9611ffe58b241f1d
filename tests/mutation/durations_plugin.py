"""A pytest plugin: seconds a test, fixtures included, into the file that MUTATION_DURATIONS names."""

import json
import os
from collections import defaultdict
from pathlib import Path

SECONDS = defaultdict(float)


def pytest_runtest_logreport(report):
    SECONDS[report.nodeid] += report.duration


def pytest_sessionfinish():
    Path(os.environ["MUTATION_DURATIONS"]).write_text(json.dumps(SECONDS))
