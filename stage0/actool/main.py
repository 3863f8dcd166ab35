"""The `actool` command: finds the subcommand, and turns errors into lines and an exit status."""
from __future__ import annotations

import os
import sys

from stage0.actool import argv
from stage0.cli.argv import UsageError
from stage2 import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

DONE, FAILED, MISUSED = 0, 1, 2
_SIGINT, _SIGTERM = 2, 15


class Context:
    """The command under way, and where its messages go."""

    def __init__(self, command: str, debug: bool) -> None:
        self.command = command
        self.debug = debug

    def note(self, text: str) -> None:
        """A line on stderr."""
        sys.stderr.write(f"{self.command}: {text}\n")

    def debug_note(self, text: str) -> None:
        """A line on stderr with --debug."""
        if self.debug:
            self.note(text)

    def failure(self, error: BaseException) -> None:
        """Say why something failed: a line, or the whole chain with --debug."""
        self.note(errors.tree(error) if self.debug else errors.line(error))


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status: 0, 1 if the command failed, 2 if there is no such."""
    try:
        status = _run(sys.argv[1:] if words is None else words)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 128 + _SIGINT
    except BrokenPipeError:  # the reader of stdout has gone; what is in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED


def _run(words: Sequence[str]) -> int:
    try:
        parsed = argv.parse(words)
    except UsageError as err:
        title = " ".join(err.words)
        sys.stderr.write(f"{title or 'actool'}: {err}\nTry `actool help{title and ' ' + title}`.\n")
        return MISUSED
    _on_sigterm()
    ctx = Context(parsed.command.title, parsed.debug)
    try:
        values = argv.arguments(parsed)
        module = __import__(f"stage0.actool.{parsed.command.module}", fromlist=("command",))
        status: int = module.command(ctx, **parsed.flags, **values)
        return status
    except BrokenPipeError:
        raise
    except (errors.RktError, OSError) as err:
        ctx.failure(err)
        return FAILED


def _on_sigterm() -> None:
    """Let SIGTERM unwind the command, so that no temporary file stays."""
    import _signal  # what `signal` is made of, without its 5 ms of enumerations

    def unwind(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + _SIGTERM)

    if _signal.getsignal(_SIGTERM) == _signal.SIG_DFL:
        _signal.signal(_SIGTERM, unwind)
