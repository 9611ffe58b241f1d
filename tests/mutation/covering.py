"""Which tests run which line, and how long they take: one run of the default suite under coverage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage


def record(root: Path, work: Path, tests: list[str]) -> None:
    """Run the default suite (or these tests) once, in file order, with a context a test, and keep what it says."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "coverage").unlink(missing_ok=True)
    settings = work / "coverage.rc"
    settings.write_text(
        f"[run]\ndata_file = {work / 'coverage'}\nsource =\n    {root / 'kpcore'}\n    {root / 'plugins'}\n"
    )
    here = str(Path(__file__).parent)
    environment = os.environ | {
        "MUTATION_DURATIONS": str(work / "durations.json"),
        "PYTHONPATH": os.pathsep.join([here, str(root), str(root / "plugins")]),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "durations_plugin", "--cov",
               f"--cov-config={settings}", "--cov-context=test", "--cov-report=", *tests]  # fmt: skip
    code = subprocess.run(command, cwd=root, env=environment, check=False).returncode
    if code:
        sys.exit(f"the suite must pass before it can be tested (pytest ended with {code})")


@dataclass(frozen=True)
class Covering:
    """What one run of the suite said.

    Args:
        lines: (file, line) -> tests that run it.
        imported: lines that run on import, before any test.
        files: file -> tests that run anything of it after import.
        durations: test -> seconds, its fixtures included.
    """

    lines: dict[tuple[str, int], frozenset[str]]
    imported: frozenset[tuple[str, int]]
    files: dict[str, frozenset[str]]
    durations: dict[str, float]

    @classmethod
    def load(cls, work: Path) -> Covering:
        """Read what ``record`` wrote."""
        durations = json.loads((work / "durations.json").read_text())
        by_file = defaultdict(set)
        for test in durations:
            by_file[test.partition("::")[0]].add(test)
        data = coverage.CoverageData(str(work / "coverage"))
        data.read()
        lines: dict[tuple[str, int], frozenset[str]] = {}
        imported: set[tuple[str, int]] = set()
        files: dict[str, set[str]] = defaultdict(set)
        for path in data.measured_files():
            file = path.partition("/kpcore/")[2]
            file = f"kpcore/{file}" if file else f"plugins/{path.partition('/plugins/')[2]}"
            for line, contexts in data.contexts_by_lineno(path).items():
                tests: set[str] = set()
                for context in contexts:
                    test, _, phase = context.rpartition("|")
                    # What a fixture runs, other tests of the file may share.
                    tests |= by_file[test.partition("::")[0]] if phase == "setup" else {test} if test else set()
                lines[file, line] = frozenset(tests & durations.keys())
                files[file] |= tests & durations.keys()
                if "" in contexts:
                    imported.add((file, line))
        return cls(lines, frozenset(imported), {name: frozenset(tests) for name, tests in files.items()}, durations)

    def tests(self, file: str, line: int, budget: float, also: Sequence[str] = ()) -> list[str]:
        """Return the tests that run a line, the quickest first, as many as fit into so many seconds.

        A line that runs on import is tried by all tests that run anything of its module, and by those of the test file
        that is named after it. ``also`` names test files that are tried always: what is computed once a process (the
        registry) is run by whoever asks first, and tested by others.
        """
        found, files = self.lines.get((file, line), frozenset()), list(also)
        if not found or (file, line) in self.imported:
            found |= self.files.get(file, frozenset())
            files.append(f"tests/test_{_named_after(file)}.py")
        found |= {test for test in self.durations if test.startswith(tuple(f"{one}::" for one in files))}
        chosen, spent = [], 0.0
        for test in sorted(found, key=lambda one: (self.durations[one], one)):
            spent += self.durations[test]
            if chosen and spent > budget:
                break
            chosen.append(test)
        return chosen


def _named_after(file: str) -> str:
    """Return the plugin of a plugin's module, the module's own name in the core."""
    path = Path(file)
    return path.parts[1] if path.parts[0] == "plugins" else path.stem
