"""The `rkt` command: finds the subcommand, and turns errors into a line and an exit status."""
from __future__ import annotations

import os
import sys

from stage0.cli import argv
from stage0.cli.context import Context, ReaderGone, flush, tell
from stage2 import errors
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import Any

FAILED = 254             # all failures of rkt itself: the other numbers belong to the apps
NO_COMMAND = 2
_SIGHUP, _SIGINT, _SIGPIPE, _SIGTERM = 1, 2, 13, 15


class Terminated(BaseException):
    """A signal that ends the command arrived: clean up and go."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    A signal that ends the command is sent again once all is cleaned up, so that the caller
    sees the process die of it (128+N in a shell).
    """
    words = sys.argv[1:] if words is None else words
    _complete_stdio()
    try:
        return _run(words)
    except KeyboardInterrupt:
        return _die(_SIGINT)
    except Terminated as ended:
        return _die(ended.number)
    except ReaderGone:
        return _die(_SIGPIPE)


def _run(words: Sequence[str]) -> int:
    name, debug = "rkt", "--debug" in words
    try:
        parsed = argv.parse(words)
        name, debug = parsed.command.words[0], parsed.common["debug"]
        _unwind_by_signals()
        ctx = Context(name, parsed.common)
        ctx.step("arguments")
        module = __import__(f"stage0.cli.{parsed.command.module}", fromlist=("command",))
        ctx.step("modules")
        status: int = module.command(ctx, **_with_uuid_file(parsed))
        flush()
        return status
    except argv.UsageError as err:
        return _misused(err)
    except (RktError, OSError) as err:
        _complain(name, errors.tree(err) if debug else errors.line(err))
        return FAILED


def _with_uuid_file(parsed: argv.Parsed) -> dict[str, Any]:
    """The values of the command; the content of --uuid-file stands for its first argument."""
    values = dict(parsed.values)
    path = values.pop("uuid_file", None)
    if path is not None:
        from stage2 import files

        try:
            word = files.read(path, 4096).decode().strip()
        except (OSError, UnicodeDecodeError) as err:
            raise RktError("reading --uuid-file") from err
        if not word:
            raise RktError(f"reading --uuid-file: {path}: the file is empty")
        first = parsed.command.arguments[0]
        values[first.name] = (word,) if first.many else word
    return values


def _misused(err: argv.UsageError) -> int:
    if isinstance(err, argv.CommandMissing):
        from stage0.cli import help  # late: whoever types the bare word asks for it

        tell(help.overview(err.words).rstrip("\n"))
    else:
        _complain(err.words[0] if err.words else "rkt", str(err))
        tell(f"Try `{' '.join(('rkt', *err.words))} --help`.")
    return NO_COMMAND if isinstance(err, argv.CommandError) and not err.words else FAILED


def _complain(name: str, text: str) -> None:
    try:
        flush()
    except RktError:
        _drop_output()               # told already, or the lesser evil
    tell(f"{name}: {text}")


def _unwind_by_signals() -> None:
    """Let SIGTERM and SIGHUP unwind the command as SIGINT does, so that what it began is cleaned up."""
    import _signal  # what `signal` is made of, without its 5 ms of enumerations

    def unwind(number: int, _frame: FrameType | None) -> None:
        _signal.signal(number, _signal.SIG_IGN)
        raise Terminated(number)

    for number in (_SIGTERM, _SIGHUP):
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _signal.signal(number, unwind)


def _complete_stdio() -> None:
    """Open what the caller closed of descriptors 0 to 2: else the next file opened would take its place."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)


def _drop_output() -> None:
    """Let what is still in the buffer of standard output go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _die(number: int) -> int:
    """End this process by a signal, its default action restored; 128+N should that fail."""
    import _signal

    _drop_output()
    _signal.signal(number, _signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
