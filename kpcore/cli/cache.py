"""``kp cache``: what the cache holds, and making room."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kpcore.cli.group import Group
from kpcore.cli.output import print_json, print_lines, print_table, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpcore.cache import Entry

app = typer.Typer(
    cls=Group, add_completion=False, rich_markup_mode=None, help="List what the cache holds, or make room."
)
TITLE = 50
"""Characters of an entry's title, at most: of a long path its end."""


@app.command("ls")
def ls(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List what the cache holds."""
    from kpcore.cache import cache_dir, entries

    found = entries()
    if as_json:
        print_json({"cache": str(cache_dir()), "entries": [record(entry) for entry in found]})
        return
    print_lines([str(cache_dir())])
    print_entries(found)


@app.command("verify")
def verify(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check every file in the cache against its digest; exit code 1 where something is damaged.

    Nothing is changed: what is damaged is set aside and made again by the next 'kp run' that needs it.
    """
    from kpcore.audit.verify import verify as verified

    found = list(verified())
    bad = [one for one in found if one.problem]
    if as_json:
        print_json({"entries": len(found), "damaged": [{**record(one.entry), "problem": one.problem} for one in bad]})
    else:
        lines = [f"{one.entry.kind}/{one.entry.key[:12]}  {one.entry.title}: {one.problem}" for one in bad]
        total = sum(one.entry.size for one in found)
        print_lines(
            [*lines, f"{len(found)} entries, {size(total)}: {len(bad)} damaged, {len(found) - len(bad)} whole."]
        )
    if bad:
        raise typer.Exit(1)


@app.command("gc")
def gc(
    older_than: Annotated[float, typer.Option(min=0, metavar="DAYS", help="Only what is older than this.")] = 0.0,
    jobs: Annotated[bool, typer.Option("--jobs", help="Only trained jobs (and what else is named).")] = False,
    stores: Annotated[bool, typer.Option("--stores", help="Only prepared crops.")] = False,
    generated: Annotated[bool, typer.Option("--generated", help="Only generated data.")] = False,
    digests: Annotated[bool, typer.Option("--digests", help="Only remembered digests of files of data.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove what the cache holds: all of it, or of the named kinds, or what is old. A running job keeps its files."""
    from kpcore.cache import KINDS, entries, remove

    wanted = {"jobs": jobs, "stores": stores, "generated": generated, "digests": digests}
    kinds = [kind for kind in KINDS if wanted.get(kind)] or KINDS
    found = [entry for entry in entries(kinds) if entry.age >= older_than]
    print_entries(found)
    if not found or dry_run or not (yes or confirmed()):
        return
    kept = [entry for entry in found if not remove(entry)]
    freed = sum(entry.size for entry in found) - sum(entry.size for entry in kept)
    in_use = f"; {len(kept)} in use, kept" if kept else ""
    print_lines([f"Removed {len(found) - len(kept)} entries, {size(freed)}{in_use}."])


def confirmed() -> bool:
    """Ask; raises KpError where there is nobody to ask."""
    from kpcore.errors import KpError

    if not sys.stdin.isatty():
        raise KpError("nothing removed: there is no terminal to ask on; add --yes to remove these entries")
    return typer.confirm("Remove these?")


def record(entry: Entry) -> dict[str, object]:
    """Return an entry as JSON."""
    return {
        "kind": entry.kind,
        "key": entry.key,
        "title": entry.title,
        "bytes": entry.size,
        "age_days": round(entry.age, 3),
        "paths": [str(path) for path in entry.paths],
        "damaged": [str(path) for path in entry.damaged],
    }


def what(entry: Entry) -> str:
    """Return what an entry is, in a width that leaves room for its figures; a damaged copy counts in its size."""
    title = entry.title or "-"
    short = title if len(title) <= TITLE else f"...{title[3 - TITLE :]}"
    return f"{short} (and a damaged copy, set aside)" if entry.damaged else short


def print_entries(found: Sequence[Entry]) -> None:
    """Print a table of entries and their sum."""
    if found:
        rows = [[entry.kind, entry.key[:12], what(entry), size(entry.size), f"{entry.age:.1f}"] for entry in found]
        print_table(["kind", "key", "what", "size", "days old"], rows, right=["size", "days old"])
    print_lines([f"{len(found)} entries, {size(sum(entry.size for entry in found))}"])
