"""The command line → a command and its values, by the option table and without typer.

Global options may stand anywhere, also between the images of a `run` line. Command names may be
cut short as long as they stay clear. The parser is pure: it looks at no file and no variable.
"""
from __future__ import annotations

from stage0.cli import options
from stage0.cli.options import GLOBAL_OPTIONS, Command, Option
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, NoReturn

TRUE = ("true", "True", "TRUE", "t", "T", "1")
FALSE = ("false", "False", "FALSE", "f", "F", "0")
_UNITS_NS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


class UsageError(RktError):
    """A command line that makes no sense; `words` is the path of the command that it was for."""

    def __init__(self, message: str, words: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.words = words


class CommandError(UsageError):
    """No command below a path, or no such command."""


class CommandMissing(CommandError):
    """A path that ends in a group, or nothing behind `rkt`."""


class Parsed(Value):
    """A command with the values of its parameters, and those of the global options."""

    command: Command
    values: dict[str, Any]
    common: dict[str, Any]


class Token(Value):
    """A word, or an option with its value, of a command line with images."""

    position: int                      # 1 is the word behind `rkt`
    word: str                          # as typed
    image: str | None = None           # an image
    option: Option | None = None
    value: Any = None                  # of the option, by its kind
    of_image: bool = False             # the option applies to the image before it
    argument: str | None = None        # a word of the argument list of the image before it


def parse(words: Sequence[str]) -> Parsed:
    """The command line without its first word. `--help` anywhere gives the command `help`.

    Raises UsageError; CommandError if there is no such command.
    """
    common = defaults(GLOBAL_OPTIONS)
    path: tuple[str, ...] = ()
    at = 0
    command = None
    while command is None or not command.module:
        if at == len(words):
            if common["version"] or common["help"]:
                break
            raise CommandMissing("a command is missing", path)
        if _is_option(words[at]) or not words[at]:
            if words[at]:
                option, value, at = _option(words, at, (GLOBAL_OPTIONS,), path)
                _put(common, option, value)
            else:
                at += 1
        else:
            command = find(words[at], path)
            path, at = command.words, at + 1
    if command is None or not command.module:
        return _instead(path, common)
    values = defaults(command.options)
    if command.images:
        found = _images(command, words, at, values, common)
    else:
        found = _positionals(command, words, at, values, common)
    if common["help"] or common["version"]:
        return _instead(path, common)
    _assign(command, found, values)
    return Parsed(command, values, common)


def _instead(path: tuple[str, ...], common: dict[str, Any]) -> Parsed:
    if common["help"] or not common["version"]:
        return Parsed(options.command("help"), {"words": path}, common)
    return Parsed(options.command("version"), {}, common)


def find(word: str, path: tuple[str, ...]) -> Command:
    """The command below a path that a word names, in full, by an alias, or by a clear start."""
    below = options.children(path)
    for command in below:
        if word == command.words[-1] or word in command.aliases:
            return command
    near = [command for command in below if not command.hidden and command.words[-1].startswith(word)]
    if len(near) == 1:
        return near[0]
    if near:
        names = ", ".join(command.words[-1] for command in near)
        raise CommandError(f"{word} could be any of {names}", path)
    known = [command.words[-1] for command in below if not command.hidden]
    raise CommandError(f"unknown command {word}{_did_you_mean(word, known)}", path)


def _positionals(command: Command, words: Sequence[str], at: int,
                 values: dict[str, Any], common: dict[str, Any]) -> list[str]:
    found: list[str] = []
    while at < len(words):
        if words[at] == "--":
            return found + list(words[at + 1:])
        if _is_option(words[at]):
            option, value, at = _option(words, at, (command.options, GLOBAL_OPTIONS), command.words)
            _put(common if option in GLOBAL_OPTIONS else values, option, value)
            if common["help"]:
                return []
            continue
        if command.raw:  # in `enter POD -- CMD` the mark belongs to neither
            rest = list(words[at:])
            return rest[:1] + rest[2:] if rest[1:2] == ["--"] and values.get("uuid_file", "") is None else rest
        found.append(words[at])
        at += 1
    return found


def _images(command: Command, words: Sequence[str], at: int,
            values: dict[str, Any], common: dict[str, Any]) -> list[str]:
    """Takes pod-level and global options out of a line of images; returns it from the first image on."""
    first = len(words)
    for token in image_tokens(command, words, at):
        if token.image is not None:
            first = min(first, token.position - 1)
        elif token.option is not None and not token.of_image:
            _put(common if token.option in GLOBAL_OPTIONS else values, token.option, token.value)
            if common["help"]:
                break
    return list(words[first:])


def image_tokens(command: Command, words: Sequence[str], at: int = 0) -> Iterator[Token]:
    """The tokens of a line of images, from word `at` on; what cannot stand where it stands is an error.

    ARGS := { OPTION | IMAGE [ "--" ARG* [ "---" ] ] }. Empty words are skipped.
    """
    image, listed, in_list = "", False, False
    path = command.words
    while at < len(words):
        word, position = words[at], at + 1
        where = f"word {position}" + (f", behind {words[at - 1]}" if at else "")
        if in_list:
            if word == "---":
                in_list = False
            else:
                yield Token(position, word, argument=word)
        elif not word:
            pass
        elif word == "---":
            raise UsageError(f"stray --- ({where}): it ends the list of arguments that -- opens", path)
        elif word == "--":
            if not image:
                raise UsageError(f"-- before any image ({where}): it opens the argument list of an image", path)
            if not command.image_options:
                raise UsageError(f"-- ({where}): {command.title} takes no arguments for apps", path)
            if listed:
                raise UsageError(f"second argument list for {image} ({where})", path)
            in_list = listed = True
        elif _is_option(word):
            tables: tuple[tuple[Option, ...], ...] = (command.options, GLOBAL_OPTIONS)
            if image:
                tables = (command.image_options, *tables)
            else:
                name = word[2:].partition("=")[0]
                if _look_up(name, command.image_options) and not _look_up(name, command.options):
                    raise UsageError(f"--{name} before any image ({where}): it applies to the image before it", path)
            option, value, at = _option(words, at, tables, path)
            yield Token(position, word, option=option, value=value,
                        of_image=bool(image) and option in command.image_options)
            continue
        else:
            image, listed = word, False
            yield Token(position, word, image=word)
        at += 1


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def _look_up(name: str, table: tuple[Option, ...]) -> Option | None:
    return next((option for option in table if option.name == name), None)


def _option(words: Sequence[str], at: int, tables: tuple[tuple[Option, ...], ...],
            path: tuple[str, ...]) -> tuple[Option, Any, int]:
    """The option at a place, its value, and the place behind it."""
    word = words[at]
    name, equals, given = word[2:].partition("=") if word != "-h" else ("help", "", "")
    option = next((found for table in tables if (found := _look_up(name, table))), None) if _long(word) else None
    if option is None:
        known = [o.name for table in tables for o in table if not o.hidden]
        if not _long(word):
            hint = f" (did you mean -{word}?)" if word[1:].partition("=")[0] in known else ""
            raise UsageError(f"unknown option {word}{hint}", path)
        raise UsageError(f"unknown option --{name}{_did_you_mean(name, known, '--')}", path)
    at += 1
    if not equals:
        if option.bare is not None:
            given = option.bare
        elif at == len(words):
            raise UsageError(f"--{name} needs a value ({option.metavar})", path)
        else:
            given, at = words[at], at + 1
    try:
        return option, convert(option, given), at
    except ValueError as err:
        raise UsageError(f"--{name}: {err}", path) from None


def _long(word: str) -> bool:
    return word.startswith("--") or word == "-h"


def _put(values: dict[str, Any], option: Option, value: Any) -> None:
    """Record an option: lists grow, all others keep what comes last."""
    if option.kind == options.LIST:
        value = (*values[option.key], value)
    elif option.kind == options.JOINED and values[option.key] is not None:
        value = f"{values[option.key]},{value}"
    values[option.key] = value


def defaults(table: tuple[Option, ...]) -> dict[str, Any]:
    """The values of options that are not given, by parameter."""
    return {option.key: option.default for option in table}


def _assign(command: Command, found: list[str], values: dict[str, Any]) -> None:
    """Give the positional words to the arguments of the command."""
    arguments = list(command.arguments)
    if values.get("uuid_file") is not None:
        arguments = arguments[1:]       # the file stands for the first argument, a pod
    for argument in command.arguments:
        values[argument.name] = () if argument.many else None
    for argument in arguments:
        if argument.many:
            values[argument.name], found = tuple(found), []
            given = bool(values[argument.name])
        else:
            given = bool(found)
            if given:
                values[argument.name] = found.pop(0)
        if not given and not argument.optional and values.get("pod_manifest") is None:
            name = argument.metavar.split()[0].rstrip("…")
            raise UsageError(f"{name} is missing (usage: rkt {usage(command)})", command.words)
    if found:
        both = values.get("uuid_file") is not None and not any(a.many for a in arguments)
        reason = "--uuid-file names the pod already" if both else "there is nothing it could be"
        raise UsageError(f"{found[0]} is one argument too many: {reason} (usage: rkt {usage(command)})", command.words)


def usage(command: Command) -> str:
    """The shape of the command line, without `rkt`."""
    parts = [command.title, "[OPTIONS]"]
    for argument in command.arguments:
        shown = argument.metavar
        if argument.name in ("uuid", "uuids"):
            shown = f"{shown} | --uuid-file=FILE"
            shown = f"({shown})" if len(command.arguments) > 1 else shown
        parts.append(f"[{shown}]" if argument.optional else shown)
    return " ".join(parts)


def _did_you_mean(word: str, known: list[str], dashes: str = "") -> str:
    from difflib import get_close_matches  # late: only a mistyped word pays for it

    near = get_close_matches(word, known, 1, 0.7)
    return f" (did you mean {dashes}{near[0]}?)" if near else ""


# --- values -----------------------------------------------------------------------------------


def convert(option: Option, given: str) -> Any:
    """The value of an option from its text; ValueError tells what is wrong with it."""
    special = _CONVERT.get(option.kind)
    if special is not None:
        return special(given)
    if option.kind == options.CHOICE and given not in option.choices:
        raise ValueError(f"{given or 'nothing'} is none of {', '.join(option.choices)}")
    return given


def boolean(given: str) -> bool:
    """A boolean as Go reads it."""
    if given in TRUE:
        return True
    if given in FALSE:
        return False
    raise ValueError(f"{given or 'nothing'} is neither true nor false")


def duration(given: str) -> float:
    """Seconds of a Go duration such as `1h30m`, `1.5s`, `500ms`, `0`; not below zero."""
    if given == "0":
        return 0.0
    rest, total_ns, seen = given.removeprefix("+"), 0.0, False
    if rest.startswith("-"):
        raise ValueError(f"{given} is below zero")
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        letters = next((n for n, char in enumerate(rest) if char in "0123456789.-+"), len(rest))
        unit, rest = rest[:letters], rest[letters:]
        if number.count(".") > 1 or not number.strip(".") or unit not in _UNITS_NS:
            _no_duration(given, number, unit)
        total_ns += float(number) * _UNITS_NS[unit]
        seen = True
    if not seen:
        _no_duration(given, "", "")
    return total_ns / 1e9


def _no_duration(given: str, number: str, unit: str) -> NoReturn:
    if number.strip(".") and number.count(".") <= 1 and not unit:
        raise ValueError(f"{given} has no unit (h, m, s, ms, us or ns)")
    raise ValueError(f"{given or 'nothing'} is not a duration such as 1h30m, 24h, 10s or 500ms")


def seconds(given: str) -> float:
    """Seconds of a Go duration or of a bare number."""
    if given.replace(".", "", 1).isdecimal() and given.isascii():
        return float(given)
    return duration(given)


def wait(given: str) -> float | None:
    """How long to wait: `true` without limit (inf), `false` not at all (None), or a Go duration."""
    if given in TRUE:
        return float("inf")
    if given in FALSE:
        return None
    return duration(given)


def insecure(given: str) -> frozenset[str]:
    """The single checks that a list for --insecure-options switches off."""
    off: set[str] = set()
    seen: set[str] = set()
    for item in given.split(","):
        name = item.strip().lower()
        if name not in options.INSECURE_SETS and name not in options.INSECURE_SINGLE:
            known = (*options.INSECURE_SETS, *options.INSECURE_SINGLE)
            raise ValueError(f"{item.strip() or 'nothing'} is none of {', '.join(known)}")
        if name in seen:
            raise ValueError(f"{name} is given twice")
        seen.add(name)
        off.update(options.INSECURE_SETS.get(name, (name,)))
    return frozenset(off)


_CONVERT: dict[str, Callable[[str], Any]] = {
    options.FLAG: boolean, options.DURATION: duration, options.SECONDS: seconds,
    options.WAIT: wait, options.INSECURE: insecure,
}
