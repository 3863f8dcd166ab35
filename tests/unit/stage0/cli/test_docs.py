"""docs/commands: a page a command, whose option tables are those of the code."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from stage0.cli import argv, help, options
from stage0.cli.options import COMMANDS, Command, Option

PAGES = Path(__file__).resolve().parents[4] / "docs/commands"
SHOWN = [command for command in COMMANDS if command.module and not command.hidden]


def page(command: Command) -> str:
    return (PAGES / f"{'-'.join(command.words)}.md").read_text()


def tables(text: str) -> dict[str, list[str]]:
    """The rows of the option tables of a page by the heading above each."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| `--") and heading.startswith("Options"):
            found.setdefault(heading, []).append(line)
    return found


def rows(table: tuple[Option, ...]) -> list[str]:
    def cell(text: str) -> str:
        return text.replace("|", "\\|")

    return [f"| `{cell(help.spelled(option))}` | {cell(help.default_text(option))} | {cell(option.help)} |"
            for option in table if not option.hidden]


@pytest.mark.parametrize("command", SHOWN, ids=lambda command: command.title)
def test_the_page_of_a_command_tells_what_the_code_does(command: Command) -> None:
    text = page(command)
    assert text.startswith(f"# rkt {command.title}\n\n{command.summary.split()[0]} ")
    assert command.summary in " ".join(text.split())
    assert f"```\nrkt {argv.usage(command)}\n```\n" in text
    expected = {"Options": rows(command.options), "Options of an image": rows(command.image_options)}
    if command.title == "help":
        expected["Options of all commands"] = rows(options.GLOBAL_OPTIONS)
    assert tables(text) == {heading: found for heading, found in expected.items() if found}


def test_no_page_lacks_its_command() -> None:
    assert {file.stem for file in PAGES.glob("*.md")} <= {"-".join(command.words) for command in COMMANDS}


def test_links_lead_somewhere() -> None:
    for file in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text()):
            assert (PAGES / target).exists(), f"{file.name}: {target}"


def test_the_values_of_insecure_options_are_all_told() -> None:
    text = page(options.command("help"))
    told = re.findall(r"^\| `([a-z][a-z-]+)` \|", text, re.MULTILINE)
    assert set(told) == {*options.INSECURE_SETS, *options.INSECURE_SINGLE}
