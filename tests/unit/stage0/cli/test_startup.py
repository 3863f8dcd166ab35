"""What a command line costs before its command begins: which modules are loaded, and how long help takes."""
from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_imports import DEAR

CHECKOUT = Path(__file__).resolve().parents[4]

PARSE = f"""
import sys
sys.path.append({str(CHECKOUT)!r})
from stage0.cli import argv, images, main
from stage0.cli.context import Context
parsed = argv.parse(sys.argv[1:])
ctx = Context("run", parsed.common)
assert images.split(parsed.values["words"], command="run").images[0].image == "example.com/app"
assert ctx.data_dir and ctx.insecure == {{"image"}}
print(*sys.modules)
"""
MAIN = f"""
import sys
sys.path.append({str(CHECKOUT)!r})
from stage0.cli.main import main
status = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(status)
"""


def modules(program: str, *words: str) -> tuple[set[str], str]:
    """The modules that a bare interpreter has at the end, and what went to stdout."""
    done = subprocess.run([sys.executable, "-IS", "-c", program, *words], capture_output=True, text=True, check=True)
    return set((done.stdout if program is PARSE else done.stderr).split()), done.stdout


def test_a_run_is_parsed_without_dear_modules() -> None:
    loaded, _ = modules(PARSE, "run", "--insecure-options=image", "--net=host", "example.com/app", "--exec=/bin/true",
                        "--environment=A=1", "--", "arg")
    assert loaded & DEAR == set()
    assert {name for name in loaded if name.startswith("stage0")} == {
        "stage0", "stage0.cli", "stage0.cli.argv", "stage0.cli.context", "stage0.cli.images", "stage0.cli.main",
        "stage0.cli.options", "stage0.config"}


@pytest.mark.parametrize("words", [["version"], ["--help"], ["image", "--help"], ["help"], ["config"],
                                   ["completion", "zsh"], ["__complete", "--", "r"]])
def test_small_commands_load_nothing_dear(words: list[str]) -> None:
    assert modules(MAIN, *words)[0] & DEAR == set()


def test_only_the_page_of_a_command_takes_typer() -> None:
    done = subprocess.run([sys.executable, "-c", MAIN, "list", "--help"], cwd=CHECKOUT, capture_output=True, text=True,
                          check=True)
    assert "typer" in done.stderr.split()


def cpu_s(*command: str) -> float:
    """The least CPU time of some runs of a program."""
    least = 99.0
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        least = min(least, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return least


def test_help_takes_less_than_twice_an_interpreter_with_typer() -> None:
    bare = cpu_s(sys.executable, "-I", "-c", "import typer")
    assert cpu_s(sys.executable, "-I", "-c", MAIN, "--help") < 2 * bare
