"""``kp doctor``: what this machine offers, and what is wrong with the installation."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kpcore.cli.output import print_json, print_lines, print_table, size


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what this machine offers and what is wrong.

    Versions, processor, devices, cache, plugins with problems, and where data is configured.
    """
    from kpcore.machine import describe
    from kpcore.registry import registry

    found = describe(registry())
    if as_json:
        print_json(found)
        return
    print_table(["what", "found"], rows(found))
    print_lines(f"plugin problem: {line}" for line in found["plugin_problems"])


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    processor, cache = found["processor"], found["cache"]
    bf16 = "bf16 in hardware" if processor["bf16"] else "no bf16 in hardware"
    return [
        ("python", f"{found['python']} on {found['platform']}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in found["versions"].items())),
        (
            "processor",
            f"{processor['brand']}, {processor['cores']} cores, torch uses {processor['torch_threads']} threads",
        ),
        ("features", f"{', '.join(processor['features']) or 'none known'}; {bf16}"),
        ("devices", "\n".join(device(each) for each in found["devices"]) or "no CUDA or MPS device; the CPU is used"),
        ("cache", f"{cache['folder']}{'' if cache['exists'] else ' (not there yet)'}, {size(cache['free'])} free"),
        *([("locks", cache["locks"])] if cache["locks"] != "shared" else []),
        *(("data", root(each)) for each in found["data"]),
        ("plugins", "problems, see below" if found["plugin_problems"] else "all in order"),
    ]


def device(found: dict[str, Any]) -> str:
    """Return a device's line."""
    return f"{found['name']}: {found['what']}" + (f", {size(found['bytes'])}" if found["bytes"] else "")


def root(found: dict[str, Any]) -> str:
    """Return a data set's line."""
    if not found["root"]:
        return f"{found['dataset']}: {found['variable']} is not set"
    return f"{found['dataset']}: {found['variable']} = {found['root']}{'' if found['exists'] else ' (no such folder)'}"
