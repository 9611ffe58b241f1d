"""Every ``kp`` command that the docs show exists, with these options and arguments, and these settings are taken."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from kpcore.cli.app import app
from kpcore.errors import KpError
from kpcore.study.opening import resolve

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for folder in ("docs", "examples") for path in (ROOT / folder).rglob("*.md"))
PAGES.append(ROOT / "README.md")  # a changelog may name commands of the past
ENDS = {"&&", "||", ";", "|"}


def in_shell(text: str) -> list[str]:
    """Lines of the page's shell blocks, continued ones joined."""
    blocks = re.findall(r"^[ ]*```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def in_prose(text: str) -> list[str]:
    """Code in running text that starts with ``kp``; brackets around what may be left out are dropped."""
    spans = re.findall(r"(?<!`)`(kp [^`]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [re.sub(r"\[(-[^\]]*)\]", r"\1", " ".join(span.split())) for span in spans]


def commands(lines: list[str]) -> list[list[str]]:
    """Arguments of every ``kp`` in these lines."""
    found = []
    for line in lines:
        words = shlex.split(line.replace(r"\|", "|"), comments=True)
        for start in [place for place, word in enumerate(words) if word == "kp" or word.endswith("/kp")]:
            end = next((place for place in range(start, len(words)) if words[place] in ENDS), len(words))
            found.append(words[start + 1 : end])
    return [one for one in found if one and not one[0].isupper()]


def named(arguments: list[str]) -> tuple[Any, Any, list[str]]:
    """Return the command that these arguments name, its context, and the arguments that are left for it."""
    command, words = typer.main.get_command(app), list(arguments)
    context = command.context_class(command, info_name="kp")
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        command = command.get_command(context, words[0])
        assert command is not None, f"kp has no command {' '.join(arguments)}"
        context = command.context_class(command, info_name=words.pop(0), parent=context)
    return command, context, words


def parsed(arguments: list[str]) -> dict[str, Any]:
    """Return a command's values as ``kp`` parses them, without running it.

    Raises:
        AssertionError: no such command, too many arguments, or a missing one.
        click's usage error: no such option, or an option without its value.
    """
    command, context, words = named(arguments)
    values, left, _ = command.make_parser(context).parse_args(words)
    assert not left, f"what are {left}?"
    missing = [one.name for one in command.params if one.required and values.get(one.name) is None]
    assert not missing or words == ["--help"], f"{missing} are missing"
    return dict(values)


def unknown_options(arguments: list[str]) -> list[str]:
    """Options that a command which prose mentions, with or without what it needs, does not have."""
    command, _, words = named(arguments)
    known = {"--help", *(option for one in command.params for option in [*one.opts, *one.secondary_opts])}
    return [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_parse(page):
    text = page.read_text(encoding="utf-8")
    for arguments in commands(in_shell(text)):
        try:
            parsed(arguments)
        except Exception as error:
            what = error.format_message() if hasattr(error, "format_message") else error
            pytest.fail(f"kp {' '.join(arguments)}: {what}")
    for arguments in commands(in_prose(text)):
        assert not unknown_options(arguments), f"kp {' '.join(arguments)}"


def studies(lines: list[str]) -> list[tuple[str, str | None, tuple[str, ...]]]:
    """Study file, profile and settings of commands that take a study file of ours."""
    found = []
    for values in map(parsed, commands(lines)):
        files = [one for one in values.values() if isinstance(one, str) and one.startswith("examples/")]
        found += [(file, values.get("profile"), tuple(values.get("sets") or ())) for file in files]
    return found


def test_settings_that_the_docs_give_our_study_files_are_taken():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    complete = [line for text in texts for line in in_prose(text) if line.startswith("kp run examples/")]
    shown = {one for text in texts for one in studies(in_shell(text))} | set(studies(complete))
    assert len(shown) > 10
    assert any(sets for *_, sets in shown)
    for file, profile, sets in sorted(shown, key=str):
        resolve(ROOT / file, profile, sets)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("kp rum x.toml", "no command"),
        ("kp run x.toml --sets a.b=1", "--sets"),
        ("kp run x.toml --profile", "--profile"),
        ("kp run x.toml y.toml", "y.toml"),
        ("kp run --plan", "missing"),
        ("kp data chek x", "no command"),
    ],
)
def test_a_command_that_would_fail_is_found(line, problem):
    (arguments,) = commands(in_shell(f"```sh\n{line}\n```\n"))
    with pytest.raises(Exception, match=problem):
        parsed(arguments)


def test_an_option_that_prose_makes_up_is_found():
    assert unknown_options(["run", "--plam"]) == ["--plam"]
    assert not unknown_options(["eval", "--origin"])


def test_commands_are_found_in_shell_blocks_and_in_running_text():
    text = (
        "Say `kp data check X --set a=1`, or `kp run [--plan]`.\n\n```sh\npip install . && .venv/bin/kp run x.toml \\\n"
        "  --set 'a.b=[1]'  # kp no\n```\n\n```text\nkp nothing\n```\n"
    )
    assert commands(in_shell(text)) == [["run", "x.toml", "--set", "a.b=[1]"]]
    assert commands(in_prose(text)) == [["data", "check", "X", "--set", "a=1"], ["run", "--plan"]]


def test_a_setting_that_does_not_exist_is_refused():
    ((file, profile, sets),) = studies(["kp run examples/mpii_hourglass.toml --set training.epoch=3"])
    with pytest.raises(KpError, match="epochs"):
        resolve(ROOT / file, profile, sets)
