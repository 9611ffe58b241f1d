"""A study file with its reasons as comments, and the name it gets."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import tomli_w

from kpcore.config import StudyConfig, validate
from kpcore.errors import KpError
from kpcore.placing import put
from kpcore.registry import Registry
from kpcore.study.data import Notice
from kpcore.study.first.choices import Choices, Machine, Table, choose, modes
from kpcore.study.first.data import First
from kpcore.study.opening import build_study
from kpcore.study.probe import probe

BARE = re.compile(r"[A-Za-z0-9_-]+")
WIDTH = 118


def study_name(root: Path) -> str:
    """Return a name for the study of a folder: its own, in letters that a file's name may have."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", root.expanduser().absolute().name).strip("._-")
    return plain[:60] or "study"


def out_file(root: Path, out: Path | None, force: bool) -> Path:
    """Return where the study file is written: ``NAME.toml`` in the current folder where nobody says.

    Raises:
        KpError: it is there already and may not be overwritten, or its folder is not there.
    """
    path = out or Path(f"{study_name(root)}.toml")
    if path.is_dir() or not path.parent.is_dir():
        raise KpError(f"{path}: cannot be written; --out names a file in a folder that is there")
    if path.exists() and not force:
        raise KpError(f"{path}: is there already; --force overwrites it, --out names another file")
    return path


def write_first(known: Registry, first: First, path: Path, notice: Notice) -> tuple[str, ...]:
    """Write a study file, once it has been opened and its network tried.

    What opening it warns of is told to ``notice``, and stands in the file.

    Returns:
        What was assumed, a line each.

    Raises:
        KpError: the data has faults that make it unusable, or does not fit the study; nothing is written.
    """
    made = choose(known, first, Machine.this())
    config = validate(StudyConfig, tomllib.loads(study_text(first, made, path)), where=str(path))
    warned: list[str] = []

    def heard(line: str) -> None:
        warned.append(line.removeprefix("warning: "))
        notice(line)

    probe(build_study(known, config, str(path), config.study.preset, heard))
    put(path, study_text(first, made, path, warned).encode())
    return (*first.notes, *made.notes)


def study_text(first: First, made: Choices, path: Path, warned: Sequence[str] = ()) -> str:
    """Return the file's text; ``warned`` is what was said when the study was opened."""
    file = _plain(shlex.quote(str(path)))
    head = [
        *_comment(f"A first study of {_plain(str(first.root))}, written by 'kp init'. Change what does not fit.", "# "),
        "#",
        f"#   kp data check {file}    what is wrong with the data",
        f"#   kp run {file} --plan    what would be trained, and how long it takes",
        f"#   kp run {file}",
        "#",
        "# Assumed:",
        *_listed((*first.notes, *made.notes)),
        *(["#", "# Said of the data:", *_listed(warned)] if warned else []),
    ]
    skeleton = first.dataset.skeleton
    study = {"name": study_name(first.root), "modes": modes(skeleton), "seeds": [0]}
    data = {"name": first.name, "root": str(first.root), **first.options}
    tables = [Table("study", study, "one seed is a first look; three tell chance from effect"), *made.tables]
    whole = [*tables[:1], Table("dataset", data), *tables[1:]]
    return "\n".join([*head, *(line for table in whole for line in _table(table))]) + "\n"


def _listed(notes: Sequence[str]) -> list[str]:
    """Return a comment a note, indented."""
    return [line for note in notes for line in _comment(note, "#   ", "#     ")]


def _table(table: Table) -> Iterator[str]:
    yield ""
    if table.why:
        yield from _comment(table.why, "# ")
    nested = {key: value for key, value in table.keys.items() if isinstance(value, dict) and table.name == "dataset"}
    yield f"[{'.'.join(_key(part) for part in table.name.split('.'))}]"
    for key, value in table.keys.items():
        if key not in nested:
            yield f"{_key(key)} = {_value(value)}"
    if nested:
        yield from tomli_w.dumps({table.name: nested}).splitlines()


def _comment(text: str, begin: str, further: str | None = None) -> list[str]:
    return textwrap.wrap(_plain(text), WIDTH, initial_indent=begin, subsequent_indent=further or begin)


def _plain(text: str) -> str:
    """Return a text for a comment: TOML allows no control characters in one."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: object) -> str:
    """Return a value on one line; a list that is long on several."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_value(one)}' for key, one in value.items())} }}"
    if isinstance(value, list):
        line = f"[{', '.join(_value(one) for one in value)}]"
        if len(line) < WIDTH - 25 or not all(isinstance(one, list) for one in value):
            return line
        return "[\n" + "".join(f"    {_value(one)},\n" for one in value) + "]"
    return tomli_w.dumps({"value": value}).strip().removeprefix("value = ")
