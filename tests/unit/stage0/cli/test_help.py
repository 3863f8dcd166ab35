"""help: pages that list commands, and the page of each command."""
from __future__ import annotations

import pytest

from stage0.cli import help as pages_of
from stage0.cli import main as entry
from stage0.cli import options, pages
from stage0.cli.options import COMMANDS, Command

SHOWN = [command for command in COMMANDS if command.module and not command.hidden]
TITLES = [command.title for command in SHOWN]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def test_the_overview_has_every_command_once_in_its_group() -> None:
    text = pages_of.overview()
    for command in options.children(()):
        lines = [line for line in text.splitlines() if line.split()[:1] == [command.words[-1]]]
        assert len(lines) == (0 if command.hidden else 1), command.title
    assert [line for line in text.splitlines() if line.endswith(":")] == [
        "Usage:", "Pods:", "State:", "Images:", "Other:", "Global options:", "Examples:"]
    assert "  --dir=DIR                Data directory: images, trees and pods. [default: /var/lib/rkt]\n" in text
    assert "__complete" not in text


def test_the_page_of_a_group() -> None:
    text = pages_of.overview(("image",))
    assert "  rkt image [OPTIONS] COMMAND …\n" in text
    assert "  cat-manifest  Print the manifest of an image.\n" in text
    assert "fetch" not in text


def test_an_overview_on_a_terminal_is_coloured_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\033[1;36mrun\033[0m" in pages_of.overview(colour=True)
    assert "\033" not in pages_of.overview()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert pages_of._coloured(True)
    assert not pages_of._coloured(False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not pages_of._coloured(True)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_an_overview_keeps_within_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    described = [line for line in pages_of.overview().splitlines() if not line.strip().startswith(("-", "rkt"))]
    assert max(map(len, described)) <= width


@pytest.mark.parametrize("command", SHOWN, ids=TITLES)
def test_the_page_of_a_command_has_all_of_its_options(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main([*command.words, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: rkt {command.title} [OPTIONS]" in text
    assert command.summary in text
    for option in (*command.options, *command.image_options, *options.GLOBAL_OPTIONS):
        found = f" --{option.name} " in text
        assert found is not option.hidden, option.name
    for line in [line for _, line in pages.EXAMPLES.get(command.title, ())]:
        assert line in text
    for part in ("Global options", *(("Options of the image before them",) if command.image_options else ())):
        assert f"─ {part} ─" in text


def test_defaults_and_brackets_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["help", "gc"]) == 0
    assert "How long an ended pod is kept. [default: 30m]" in capsys.readouterr().out
    assert entry.main(["help", "run"]) == 0
    assert "Usage: rkt run [OPTIONS] IMAGE [OPTIONS] [-- ARG… [---]] …" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["help", "stat"], ["stat", "--help"], ["--help", "stat"], ["status", "x", "-h"]])
def test_ways_to_ask_for_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(words) == 0
    assert "Usage: rkt status [OPTIONS] POD | --uuid-file=FILE" in capsys.readouterr().out


def test_every_command_has_a_description_and_no_page_lacks_its_command() -> None:
    titles = {command.title for command in COMMANDS if not command.hidden}
    assert set(pages.DESCRIPTIONS) == titles
    assert set(pages.EXAMPLES) <= titles | {""}


def test_examples_are_command_lines_that_can_be_parsed() -> None:
    import shlex

    from stage0.cli import argv

    for examples in pages.EXAMPLES.values():
        for _, line in examples:
            for part in line.replace("POD=$(", "").replace(")", "").removeprefix("ExecStart=").split("&&"):
                words = shlex.split(part.split("|")[0])
                assert words[0] == "rkt"
                argv.parse(words[1:])
