"""The command line of actool → a command and its values.

    actool [GLOBAL FLAGS] COMMAND [FLAGS] ARGUMENTS

Flags have one dash or two, and end at the first word that is none, or behind `--`. Pure.
"""
from __future__ import annotations

from stage0.actool.options import COMMANDS, GLOBAL_OPTIONS, usage
from stage0.cli import options
from stage0.cli.argv import UsageError, convert
from stage0.cli.options import Command, Option
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class ArgumentError(RktError):
    """Too few arguments, or too many."""


class Parsed(Value):
    """A command, its flags by key and its arguments by name, and the words that were neither checked nor named yet."""

    command: Command
    flags: dict[str, Any]
    words: tuple[str, ...]
    debug: bool


def parse(words: Sequence[str]) -> Parsed:
    """The command line without its first word. No command, or --help, gives the command `help`.

    Raises UsageError.
    """
    common, at = _flags(words, 0, GLOBAL_OPTIONS, "")
    debug = common["debug"]
    if at == len(words) or common["help"]:
        return Parsed(find("help"), {}, tuple(words[at:]), debug)
    command = find(words[at])
    values, at = _flags(words, at + 1, (*command.options, GLOBAL_OPTIONS[1]), command.title)
    if values.pop("help"):
        return Parsed(find("help"), {}, command.words, debug)
    return Parsed(command, values, tuple(words[at:]), debug)


def find(word: str) -> Command:
    """The command of this name; UsageError if there is none."""
    for command in COMMANDS:
        if command.title == word:
            return command
    raise UsageError(f"unknown command {word}{_near(word, [command.title for command in COMMANDS])}")


def arguments(parsed: Parsed) -> dict[str, Any]:
    """The words as values of the command's arguments; ArgumentError if their number is wrong."""
    command, words = parsed.command, list(parsed.words)
    values: dict[str, Any] = {}
    for argument in command.arguments:
        if not words and not argument.optional:
            raise ArgumentError(f"{argument.metavar.rstrip('…')} is missing (usage: {usage(command)})")
        if argument.many:
            values[argument.name], words = tuple(words), []
        else:
            values[argument.name] = words.pop(0) if words else None
    if words:
        hint = ": flags go before the arguments" if words[0].startswith("-") else ""
        raise ArgumentError(f"{words[0]} is one argument too many{hint} (usage: {usage(command)})")
    return values


def _flags(words: Sequence[str], at: int, table: tuple[Option, ...], title: str) -> tuple[dict[str, Any], int]:
    """The values of the flags from a place on, and the place behind them."""
    values = {option.key: option.default for option in table}
    path = (title,) if title else ()
    while at < len(words) and words[at].startswith("-") and words[at] != "-":
        word, at = words[at], at + 1
        if word == "--":
            break
        name, equals, given = word.removeprefix("-").removeprefix("-").partition("=")
        option = next((option for option in table if option.name == ("help" if name == "h" else name)), None)
        if option is None:
            known = [option.name for option in table]
            hint = " (it goes before the command)" if name == "debug" else _near(name, known, "--")
            raise UsageError(f"unknown flag {word.partition('=')[0]}{hint}", path)
        if not equals and option.bare is not None:
            given = option.bare
        elif not equals and at == len(words):
            raise UsageError(f"--{name} needs a value ({option.metavar})", path)
        elif not equals:
            given, at = words[at], at + 1
        try:
            value = convert(option, given)
        except ValueError as err:
            raise UsageError(f"--{name}: {err}", path) from None
        values[option.key] = (*values[option.key], value) if option.kind == options.LIST else value
    return values, at


def _near(word: str, known: list[str], dashes: str = "") -> str:
    from difflib import get_close_matches  # late: only a mistyped word pays for it

    near = get_close_matches(word, known, 1)
    return f" (did you mean {dashes}{near[0]}?)" if near else ""
