"""Mutation testing: does a small wrong change of the program fail a test?

    python tests/mutation record                     run the default suite once: which test runs which line, how long
    python tests/mutation run [--sample N] [FILE..]  change one thing at a time, run the tests that run that line
    python tests/mutation report                     score by group, and what survived
    python tests/mutation show KEY                   one mutant as a diff

The sample is stratified by the groups of groups.toml and drawn by a stated seed: a mutant is ranked by a hash of the
seed and of the change itself, so that editing elsewhere, or adding tests, leaves the sample as it is. Mutants that
cannot change what the program does are named in equivalent.toml with the reason, and do not count. Needs the extra
``mutation``. Results lie in build/mutation; a mutant is run anew where the tests that were run on it have changed.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from arena import Arena, Verdict
from covering import Covering, record
from mutants import Mutant, mutants

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WORK = ROOT / "build" / "mutation"


def groups(name: str) -> dict[str, dict[str, object]]:
    """Return group -> its files, the places in them (all where absent), the size of its sample (all where absent)."""
    return tomllib.loads((HERE / name).read_text())


def files_of(group: dict[str, object]) -> list[str]:
    """Return a group's files, globs resolved."""
    return sorted(
        str(path.relative_to(ROOT)) for pattern in group["files"] for path in ROOT.glob(pattern) if path.stat().st_size
    )


def equivalent() -> dict[str, str]:
    """Return key -> why the mutant cannot be noticed."""
    return {entry["key"]: entry["why"] for entry in tomllib.loads((HERE / "equivalent.toml").read_text())["mutant"]}


def draw(arguments: argparse.Namespace) -> dict[str, list[Mutant]]:
    """Return group -> its part of the sample; all mutants of the files named, where there are any."""
    found = {}
    every_group = groups(arguments.groups)
    total = sum(group.get("sample", 0) for group in every_group.values())
    for name, group in every_group.items():
        files = [file for file in files_of(group) if not arguments.files or file in arguments.files]
        every = [one for file in files for one in mutants(ROOT, file) if _within(one, group.get("places", []))]
        size = None if arguments.files or "sample" not in group else group["sample"]
        if size is not None and arguments.sample is not None:
            size = round(size * arguments.sample / total)
        ranked = sorted(every, key=lambda one: hashlib.sha256(f"{arguments.seed}|{one.key}".encode()).digest())
        if ranked:
            found[name] = ranked[:size]
    return found


def _within(one: Mutant, places: list[str]) -> bool:
    return not places or any(one.place == place or one.place.startswith(f"{place}.") for place in places)


def run(arguments: argparse.Namespace) -> None:
    """Try the drawn mutants, those that were tried before with the same tests left out."""
    covering = Covering.load(WORK)
    ledger = Ledger(WORK / arguments.ledger)
    drawn, same = draw(arguments), equivalent()
    chosen = [(one, name) for name, some in drawn.items() for one in some]
    waiting = []
    for one, name in chosen:
        if one.key in same:
            continue
        also = groups(arguments.groups)[name].get("also", [])
        tests = covering.tests(one.file, one.line, arguments.budget, also)
        known = ledger.of(one.key)
        if known is None or (known["verdict"] == "survived" and known["tests"] != digest(tests)):
            waiting.append((one, tests))
    print(f"{len(chosen)} mutants, {len(waiting)} to try", flush=True)
    with Arena(ROOT, WORK, arguments.jobs) as arena:
        for done, (one, tests, verdict) in enumerate(arena.run(waiting, covering.durations), 1):
            ledger.write(one, verdict, digest(tests), len(tests))
            if verdict.name == "survived":
                print(f"[{done}/{len(waiting)}] survived {one.key} {one} ({len(tests)} tests)", flush=True)
            elif done % 25 == 0:
                print(f"[{done}/{len(waiting)}]", flush=True)


def digest(tests: Iterable[str]) -> str:
    """Return a short name of these tests as they are now written."""
    files = sorted({test.partition("::")[0] for test in tests})
    state = [hashlib.sha256((ROOT / file).read_bytes()).hexdigest() for file in files if (ROOT / file).exists()]
    return hashlib.sha256("|".join([*sorted(tests), *state]).encode()).hexdigest()[:12]


class Ledger:
    """What became of each mutant: one JSON line a trial, the last one counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.entries = {entry["key"]: entry for entry in map(json.loads, lines)}

    def of(self, key: str) -> dict[str, object] | None:
        """Return the last trial of a mutant."""
        return self.entries.get(key)

    def write(self, one: Mutant, verdict: Verdict, tests: str, count: int) -> None:
        """Add a trial."""
        entry = {
            "key": one.key, "file": one.file, "line": one.line, "what": str(one), "verdict": verdict.name,
            "by": verdict.by, "seconds": round(verdict.seconds, 1), "tests": tests, "count": count,
        }  # fmt: skip
        self.entries[one.key] = entry
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def report(arguments: argparse.Namespace) -> None:
    """Print the score by group and the survivors."""
    ledger, same = Ledger(WORK / arguments.ledger), equivalent()
    total: Counter[str] = Counter()
    survivors = defaultdict(list)
    print("| group | mutants | equivalent | killed | survived | score |\n|---|---|---|---|---|---|")
    for name, chosen in draw(arguments).items():
        counts: Counter[str] = Counter()
        for one in chosen:
            entry = ledger.of(one.key)
            verdict = "equivalent" if one.key in same else "killed" if entry else "not tried"
            if verdict == "killed" and entry["verdict"] == "survived":
                verdict = "survived"
                survivors[name].append((one, entry))
            counts[verdict] += 1
        total += counts
        print(_line(name, counts))
    print(_line("**all**", total))
    if total["not tried"]:
        print(f"\n{total['not tried']} were not tried")
    for name, some in survivors.items():
        print(f"\n{name}")
        for one, entry in some:
            print(f"  {one.key} {one} ({entry['count']} tests)")


def _line(name: str, counts: Counter[str]) -> str:
    tried = counts["killed"] + counts["survived"]
    score = f"{100 * counts['killed'] / tried:.1f}%" if tried else "-"
    return (
        f"| {name} | {sum(counts.values())} | {counts['equivalent']} | {counts['killed']} | {counts['survived']}"
        f" | {score} |"
    )


def show(arguments: argparse.Namespace) -> None:
    """Print a mutant as a diff."""
    for group in groups("groups.toml").values():
        for file in files_of(group):
            for one in mutants(ROOT, file):
                if one.key == arguments.key:
                    before, after = (text.splitlines(True) for text in ((ROOT / file).read_text(), one.code))
                    sys.stdout.writelines(difflib.unified_diff(before, after, file, file))
                    return
    sys.exit(f"no mutant {arguments.key}")


def count(arguments: argparse.Namespace) -> None:
    """Print how many mutants each file has."""
    for name, chosen in draw(arguments).items():
        print(f"{name}: {len(chosen)}")
        for file, number in Counter(one.file for one in chosen).items():
            print(f"  {number:5d} {file}")


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["record", "run", "report", "show", "count"])
    parser.add_argument("files", nargs="*", help="files (all their mutants), or for 'show' a key")
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--sample", type=int, default=None, help="how many; what the groups say where absent")
    parser.add_argument("--groups", default="groups.toml", help="or decides.toml: what decides a result")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at once")
    parser.add_argument("--budget", type=float, default=30.0, help="seconds of tests a mutant, the quickest first")
    parser.add_argument("--ledger", default="ledger.jsonl")
    arguments = parser.parse_args()
    if arguments.command == "record":
        record(ROOT, WORK, arguments.files)
    elif arguments.command == "show":
        arguments.key = arguments.files[0]
        show(arguments)
    else:
        {"run": run, "report": report, "count": count}[arguments.command](arguments)


if __name__ == "__main__":
    main()
