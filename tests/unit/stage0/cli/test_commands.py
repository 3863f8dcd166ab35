"""The module of each command takes what the option table says that it gets."""
from __future__ import annotations

import importlib
import inspect

import pytest

from stage0.cli import argv, options
from stage0.cli.options import COMMANDS, Command


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.module], ids=lambda command: command.title)
def test_a_command_takes_its_options_and_arguments(command: Command) -> None:
    function = importlib.import_module(f"stage0.cli.{command.module}").command
    context, *taken = inspect.signature(function).parameters.values()
    assert context.name == "ctx"
    given = {*argv.defaults(command.options), *(argument.name for argument in command.arguments)} - {"uuid_file"}
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken):
        assert {parameter.name for parameter in taken[:-1]} <= given
    else:
        assert {parameter.name for parameter in taken} == given
        assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in taken)


def test_the_command_line_of_a_command_is_known_by_its_words() -> None:
    for command in COMMANDS:
        assert options.command(*command.words) is command
