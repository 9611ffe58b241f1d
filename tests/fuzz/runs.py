"""Many trials, and what came of them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from cage import Arena, Outcome, trial
from crafted import CRAFTED
from damage import damaged
from targets import Files, Target, folder_of, targets

EVERY = 100


class Run:
    """Trials in one place.

    Args:
        place: an empty folder.
        seed: that damage is drawn from.
        keep: folder for the files of what failed; None to keep none.

    Attributes:
        failures: what was read, and how it ended.
        kinds: how often trials ended in each way.
    """

    def __init__(self, place: Path, seed: int, keep: Path | None = None) -> None:
        (place / "arena").mkdir()
        self._arena = Arena(place / "arena")
        self._seed = seed
        self._keep = keep
        self._files: dict[str, Files] = {}
        self.failures: list[tuple[str, Outcome]] = []
        self.kinds: Counter[str] = Counter()
        self.by_target: Counter[str] = Counter()
        self.slowest, self.largest = 0.0, 0

    def mutated(self, count: int, only: str = "", names: Sequence[str] = ()) -> None:
        """Damage valid files, ``count`` in all, evenly by target: of these names where there are any."""
        chosen = [target for name, target in targets().items() if only in name and (not names or name in names)]
        for number in range(count):
            self._one(chosen[number % len(chosen)], number)

    def _one(self, target: Target, number: int) -> None:
        random = Random(f"{self._seed} {target.name} {number}")
        files = self._valid(target)
        name = random.choice(sorted(files))
        way, content = damaged(name, files[name], random, files[random.choice(sorted(files))])
        root = self._arena.fresh()
        Files({**files, name: content}).put(root)
        self._note(f"{target.name}, {name}, {way}, number {number}", target, root)

    def _valid(self, target: Target) -> dict[str, bytes]:
        """Return a target's valid files, which are read once here: what that imports, no child imports again."""
        if target.name not in self._files:
            self._files[target.name] = folder_of(target)
            root = self._arena.fresh()
            self._files[target.name].put(root)
            target.read(root)
        return self._files[target.name].files

    def crafted(self, only: str = "") -> None:
        """Read files that were made to do harm."""
        for name, (target, write) in CRAFTED.items():
            if only in name or only in target:
                self._valid(targets()[target])
                root = self._arena.fresh()
                write(root, self._arena.outside)
                self._note(f"crafted, {name}", targets()[target], root)

    def whole(self) -> dict[str, Outcome]:
        """Read every target's valid files."""
        found = {}
        for target in targets().values():
            root = self._arena.fresh()
            folder_of(target).put(root)
            found[target.name] = trial(root, target.read)
        return found

    def _note(self, what: str, target: Target, root: Path) -> None:
        outcome = trial(root, target.read)
        if touched := self._arena.touched():
            outcome = Outcome("outside", f"changed {touched}", outcome.seconds, outcome.peak)
        self.kinds[outcome.kind] += 1
        self.by_target[target.name] += 1
        self.slowest, self.largest = max(self.slowest, outcome.seconds), max(self.largest, outcome.peak)
        if not outcome.good:
            self.failures.append((what, outcome))
            print(f"{what}: {outcome.kind}: {outcome.said}", flush=True)
            if self._keep:
                shutil.copytree(root, self._keep / str(len(self.failures)), symlinks=True, dirs_exist_ok=True)
        if (done := self.kinds.total()) % EVERY == 0:
            print(f"... {done} read, {len(self.failures)} failed", flush=True)

    def report(self, seconds: float) -> str:
        """Return the counts."""
        total, failed = self.kinds.total(), len(self.failures)
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common())
        return (
            f"{total} files of {len(self.by_target)} kinds in {seconds:.0f} s (seed {self._seed}): {kinds}; {failed}"
            f" failed. Slowest {self.slowest:.1f} s of processor time, most memory {self.largest / 2**20:.0f} MB, the"
            " interpreter's included."
        )
