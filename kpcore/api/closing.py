"""What ``kp run`` does with a study that has just been run: intervals, tables, curves, the page, who wants to know."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from kpcore.evidence import Evidence, write_evidence
from kpcore.evidence import study as evidence_of
from kpcore.records.folder import JobFolder
from kpcore.records.results import Results
from kpcore.records.values import VALUES
from kpcore.report.curves import write_curves
from kpcore.report.tables import write_tables
from kpcore.study.guard import told
from kpcore.study.jobs import JobPlan
from kpcore.study.runner import about_study
from kpcore.study.shown import keep_shown
from kpcore.study.study import Study

Notice = Callable[[str], None]


def write_files(plan: JobPlan, folder: Path, results: Results) -> tuple[Evidence | None, list[Path]]:
    """Write intervals, tables and curves.

    Returns:
        What is said of the results, None where none of the rows is done; and the files.
    """
    known = evidence_of(folder) if (folder / VALUES).is_file() else None
    jobs = [JobFolder.of(job.key) for job in plan.jobs]
    histories = {job.key: job.history() for job in jobs if job.done}
    written = write_tables(results, folder, known) + write_curves(results, histories, folder)
    return known, written + ([write_evidence(known, folder)] if known else [])


def draw_page(study: Study, plan: JobPlan, folder: Path, known: Evidence | None, notice: Notice) -> Path | None:
    """Draw the page; a line says why where it cannot be, and results stay."""
    from kpcore.report.page import write_page

    try:
        keep_shown(study, plan, folder)
        return write_page(folder, known)[0]
    except (Exception, SystemExit) as error:  # a metric, a picture or a disk may fail here: the results are written
        notice(f"No page: {told(error, study.known)}; 'kp report {folder}' draws it once that is put right")
        return None


def tell_ended(study: Study, folder: Path, results: Results) -> list[str]:
    """Tell plugins that a study ended; returns a line for each that failed at that."""
    found = json.loads(results.to_json())
    return study.known.notify("kp_study_ended", study=about_study(study, folder), results=found)
