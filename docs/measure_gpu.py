r"""Show on one machine with a GPU what this program does there: agreement with a CPU, speed, memory, a whole study.

    python docs/measure_gpu.py --out DIR                    the project and what it needs are installed
    python docs/measure_gpu.py --wheels WHEELS --out DIR    they are not: WHEELS holds the wheels that are missing
    python docs/measure_gpu.py --quick --device cpu --out DIR    every part at toy size, to try the script itself

It needs what ``pyproject.toml`` lists. All data is drawn by the program itself and nothing is fetched. On a machine
that has torch, timm, h5py, opencv-python-headless, pluggy, rich, typer, scipy, safetensors, matplotlib, filelock,
pillow and huggingface-hub, but neither the project nor the rest, WHEELS is filled on another one (here for CPython
3.12 on Linux):

    pip wheel --no-deps -w WHEELS .
    pip download --only-binary=:all: --no-deps -d WHEELS --python-version 3.12 \
        --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 \
        pydantic==2.14.4 pydantic-core==2.50.5 annotated-types annotated-doc typing-inspection typing-extensions \
        platformdirs pycocotools

They are unpacked into a folder that is thrown away and that comes first on the path of every process. The parts are
in ``measure_gpu_parts.py``, a process each. A part that fails or runs out of its seconds is said, the next goes on, and
what it had measured by then is kept. Tables go to stdout, all of it to DIR/gpu.json, what a part printed to
DIR/PART.log. Exit code 0: every part ended well and every check held; else 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = {"doctor": 40, "data": 60, "agree": 60, "speed": 140, "study": 60, "at_once": 90, "compiled": 190}
"""Parts in order, and the most seconds of each."""
TOTAL = 600
"""Seconds of all parts together; the last ones get what is left."""
SCRIPT = Path(__file__).with_name("measure_gpu_parts.py")


@dataclass(frozen=True)
class Run:
    """One run of all parts.

    Args:
        out: folder of the results.
        arguments: that every part is given.
        environment: of every part's process.
        deadline: of ``time.monotonic()``.
        scale: of every part's seconds.
    """

    out: Path
    arguments: tuple[str, ...]
    environment: dict[str, str]
    deadline: float
    scale: float


def main() -> int:
    """Run the parts; return the exit code."""
    asked = parse()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kp-gpu-") as folder:
        environment = prepare(asked.wheels, Path(folder))
        arguments = ("--device", asked.device, *(["--quick"] if asked.quick else []))
        run = Run(asked.out, arguments, environment, time.monotonic() + asked.seconds, max(1.0, asked.seconds / TOTAL))
        found = {}
        for part in asked.only or SECONDS:
            found[part] = take(part, run)
            show(part, found[part])
            (run.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    bad = [part for part, result in found.items() if result["status"] != "done"]
    print(
        f"\n{len(found) - len(bad)} of {len(found)} parts ended well" + (f"; not so: {', '.join(bad)}" if bad else "")
    )
    return 1 if bad else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="wheels that are not installed here")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--quick", action="store_true", help="toy sizes")
    parser.add_argument(
        "--seconds",
        type=float,
        default=TOTAL,
        help="all parts together [default: %(default)s]; with more, each part's limit grows",
    )
    parser.add_argument("--only", action="append", choices=tuple(SECONDS), help="a part; repeatable ('data' is needed)")
    return parser.parse_args()


def prepare(wheels: Path | None, folder: Path) -> dict[str, str]:
    """Install the wheels into the folder; return the environment of the parts, with a cache of their own."""
    environment = {**os.environ, "KP_CACHE_DIR": str(folder / "cache"), "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}
    environment["PYTHONSAFEPATH"] = "1"  # the packages' kpcore, not that of the folder one happens to be in
    if wheels is not None:
        target = folder / "packages"
        files = sorted(str(path) for path in wheels.glob("*.whl"))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
        subprocess.run([*pip, "--target", str(target), *files], check=True)
        rest = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(target), *([rest] if rest else [])])
    return environment


def take(part: str, run: Run) -> dict[str, Any]:
    """Run one part in a process of its own; return what it measured, its status, and its seconds."""
    limit = min(run.scale * SECONDS[part], run.deadline - time.monotonic())
    if limit < 5:
        return {"status": "left out", "reason": "no time was left"}
    started = time.monotonic()
    log = run.out / f"{part}.log"
    record = run.out / f"{part}.json"
    record.unlink(missing_ok=True)
    with log.open("w") as printed:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), part, "--record", str(record), "--seconds", str(limit), *run.arguments],
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=run.environment,
            start_new_session=True,
        )
        reason = wait(process, limit)
    found: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    status = "done" if not reason else "cut" if reason.startswith("cut") else "failed"
    tail = log.read_text().splitlines()[-30:] if reason else []
    return {"status": status, "reason": reason, "seconds": time.monotonic() - started, "log": tail, **found}


def wait(process: subprocess.Popen[bytes], limit: float) -> str:
    """Wait for a part; return what went wrong, or ""."""
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # and the processes that it has started: a session of its own
        process.wait()
        return f"cut after {limit:.0f} s"
    return f"exit code {code}" if code else ""


def show(part: str, found: dict[str, Any]) -> None:
    """Print a part's tables, its checks, and what went wrong."""
    print(f"\n== {part}: {found['status']} {found.get('reason', '')} ({found.get('seconds', 0):.0f} s)")
    for name, value in found.get("facts", {}).items():
        text = cell(value)
        print(f"{name}:\n{text}" if "\n" in text else f"{name}: {text}")
    for rows in found.get("tables", {}).values():
        print_rows(rows)
    for check in found.get("checks", []):
        verdict = "ok   " if check["ok"] else "WRONG"
        print(f"{verdict} {check['what']}: {cell(check['value'])} (limit {cell(check['limit'])})")
    for line in found.get("log", []):
        print(f"  | {line}")
    sys.stdout.flush()


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Print rows under one head; a row may lack columns."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    lines = [heads, *([cell(row.get(head)) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def cell(value: Any) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
