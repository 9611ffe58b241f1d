"""The table of jobs that ``kp run`` shows while it trains, as lines that fit the screen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size

from kpcore.cli.display import duration
from kpcore.errors import visible
from kpcore.records.results import HistoryRecord
from kpcore.report.breaking import broken
from kpcore.study.jobs import Job

BLOCKS = "▁▂▃▄▅▆▇█"
WIDE = 100
"""Columns of a terminal from which on the table has room for counts and long curves."""
RUNNING = ("starting", "training")
DROPPED = ("speed", "validation", "time", "done", "iterations")
"""What a narrow table does without, the first first."""
RIGHT = ("iterations", "done", "speed", "time")
NAME = 24
"""Columns that a long name gets at least, so long as there is something to drop."""
GAP = 2
FEET = 5
"""The lines below the table take no more than one of so many lines of the screen."""


@dataclass
class Track:
    """What the display knows of one job."""

    job: Job
    state: str = "waiting"
    done: int = 0
    total: int = 0
    started: float = 0.0
    began: float = 0.0
    first: int = 0
    seconds: float = 0.0
    validation: list[float | None] = field(default_factory=list)
    before: list[HistoryRecord] = field(default_factory=list)
    """Epochs that were behind when this run took the job up."""

    @property
    def speed(self) -> float:
        """Iterations a second since this run took the job up; 0 where nothing is known."""
        passed = time.perf_counter() - self.began if self.began else 0.0
        return (self.done - self.first) / passed if passed > 0 else 0.0

    @property
    def left(self) -> float:
        """Seconds that are left at this speed, at most; 0 where nothing is known."""
        return (self.total - self.done) / self.speed if self.speed else 0.0


@dataclass(frozen=True)
class Screen:
    """How many columns and lines there are."""

    width: int
    height: int

    @property
    def lines(self) -> int:
        """Lines that a table takes at most: not all, so that it still fits where the terminal gets a bit smaller."""
        return max(min(self.height - 1, 10), self.height * 3 // 4)


def job_table(tracks: Sequence[Track], metric: str, screen: Screen) -> list[str]:
    """Return the lines of a heading, as many jobs as fit, what the others are at, and how far all is.

    No line is wider than the screen, and there are fewer than it is high: what is higher cannot be wiped. Of no jobs
    it says so.
    """
    if not tracks:
        return ["nothing to train"]
    feet = summary(tracks, metric, screen)
    room = max(1, screen.lines - 1 - len(feet))
    rows = _rows(tracks, screen, max(1, room - 1))
    heights = list(map(len, rows))
    shown = fitting(tracks, heights, room)
    if len(shown) < len(tracks) and room > 1:
        shown = fitting(tracks, heights, room - 1)
    hidden = [track for place, track in enumerate(tracks) if place not in shown]
    more = [others(hidden)[: screen.width]] if hidden and room > 1 else []
    return [heading(tracks, screen), *(line for place in shown for line in rows[place]), *more, *feet]


def summary(tracks: Sequence[Track], metric: str, screen: Screen) -> list[str]:
    """Return how many jobs are done, and what validation reads, where that leaves room for jobs."""

    def fits(line: str) -> bool:
        return cell_len(line) <= screen.width

    finished = sum(track.state not in ("waiting", *RUNNING) for track in tracks)
    text = f"{finished} of {len(tracks)} trainings done"
    whole = broken(f"{text}; validation: {visible(metric)}", fits)
    return whole if len(whole) <= screen.height // FEET else broken(text, fits)[:1]


def others(hidden: Sequence[Track]) -> str:
    """Return what the jobs are at that are not shown."""
    return "... and " + ", ".join(f"{count} more {state}" for state, count in Counter(t.state for t in hidden).items())


def fitting(tracks: Sequence[Track], heights: Sequence[int], room: int) -> list[int]:
    """Return places of the jobs that are shown: those that run, then the nearest to the first of them; one at least."""
    running = [place for place, track in enumerate(tracks) if track.state in RUNNING]
    waiting = (place for place, track in enumerate(tracks) if track.state == "waiting")
    middle = running[0] if running else next(waiting, len(tracks) - 1)
    order = sorted(range(len(tracks)), key=lambda place: (place not in running, abs(place - middle)))
    shown: list[int] = []
    for place in order:
        if shown and heights[place] > room:
            break
        shown.append(place)
        room -= heights[place]
    return sorted(shown)


def heading(tracks: Sequence[Track], screen: Screen) -> str:
    """Return the table's first line."""
    names, widths = _columns(tracks, screen)
    return _line(["job", *names], names, widths)


def _rows(tracks: Sequence[Track], screen: Screen, most: int) -> list[list[str]]:
    """The lines of every job, at most so many: its cells beside the first line of its name."""
    names, widths = _columns(tracks, screen)
    rows = []
    for track in tracks:
        first, *rest = name_lines(visible(track.job.name), widths[0], most)
        found = cells(track, wide=screen.width >= WIDE)
        rows.append([_line([first, *(found[name] for name in names)], names, widths), *rest])
    return rows


def name_lines(name: str, width: int, most: int) -> list[str]:
    """Return a name in lines; where those are too many, in one that shows its beginning and its end."""
    lines = broken(name, lambda line: cell_len(line) <= width)
    if len(lines) <= most:
        return lines
    end = max(0, min(width // 2, width - 2))
    return [name[: width - end - 1] + "…" + name[len(name) - end :]]


def _columns(tracks: Sequence[Track], screen: Screen) -> tuple[list[str], list[int]]:
    """Headings that fit beside the names, and the widths of all columns, the names' first."""
    table = [cells(track, wide=screen.width >= WIDE) for track in tracks]
    width = {name: max(map(cell_len, (name, *(row[name] for row in table)))) for name in table[0]}
    longest = max(3, *(cell_len(track.job.name) for track in tracks))
    names = list(width)
    for dropped in DROPPED:
        if screen.width - sum(width[name] + GAP for name in names) >= min(longest, NAME):
            break
        names = [name for name in names if name != dropped]
    room = screen.width - sum(width[name] + GAP for name in names)
    return names, [max(3, min(longest, room)), *(width[name] for name in names)]


def cells(track: Track, *, wide: bool) -> dict[str, str]:
    """Return what stands beside a job's name, by heading."""
    values, trains = track.validation, track.state in RUNNING and track.done > 0
    last = f" {values[-1]:.1f}" if values and values[-1] is not None else ""
    took = f"took {duration(track.seconds)}" if track.seconds and track.state not in RUNNING else ""
    done = (f"{track.done:,}/{track.total:,}" if wide else f"{track.done / track.total:.0%}") if trains else ""
    return {
        "state": track.state,
        "iterations" if wide else "done": done,
        "speed": speed_text(track.speed) if trains else "",
        "time": f"{duration(track.left)} left" if trains and track.left else took,
        "validation": sparkline(values, 24 if wide else 8) + last,
    }


def _line(texts: Sequence[str], names: Sequence[str], widths: Sequence[int]) -> str:
    """Cells at their widths; without spaces at the end, which a narrower terminal would wrap."""
    made = [set_cell_size(texts[0], widths[0])]
    for text, name, width in zip(texts[1:], names, widths[1:], strict=True):
        space = " " * (width - cell_len(text))
        made.append(space + text if name in RIGHT else text + space)
    return (" " * GAP).join(made).rstrip()


def speed_text(speed: float) -> str:
    """Return a speed: "2.3 it/s", or where it is slower than one a second "1.8 s/it"; "" where nothing is known."""
    if not speed:
        return ""
    return f"{speed:.1f} it/s" if speed >= 1 else f"{1 / speed:.1f} s/it"


def sparkline(values: Sequence[float | None], width: int = 24) -> str:
    """Draw the values, from 0 to the largest, in block characters; the last ``width`` of them."""
    shown = [value or 0.0 for value in values][-width:]
    top = max(shown, default=0.0) or 1.0
    return "".join(BLOCKS[min(len(BLOCKS) - 1, int(max(value, 0.0) / top * len(BLOCKS)))] for value in shown)
