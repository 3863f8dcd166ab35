"""actool help: what actool does, or what one command does."""
from __future__ import annotations

import sys

from stage0.actool.options import COMMANDS, GLOBAL_OPTIONS, usage
from stage0.cli.options import FLAG, Command, Option
from stage0.version import APPC_VERSION
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.actool.main import Context

_WIDTH = 100
_MOST_INDENTED = 30


class HelpError(RktError):
    """There is no help on a topic."""


def command(ctx: Context, *, topic: str | None) -> int:
    """Print the help text."""
    if topic is None:
        sys.stdout.write(overview())
        return 0
    for known in COMMANDS:
        if known.title == topic:
            sys.stdout.write(page(known))
            return 0
    raise HelpError(f"unknown topic {topic} (one of {', '.join(known.title for known in COMMANDS)})")


def overview() -> str:
    """The help of actool as a whole."""
    return _sections({
        "NAME": ["actool - builds, checks and changes App Container images"],
        "USAGE": ["actool [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]"],
        "VERSION": [APPC_VERSION],
        "COMMANDS": _columns([(known.title, known.summary) for known in COMMANDS]),
        "GLOBAL OPTIONS": _columns([_row(option) for option in GLOBAL_OPTIONS]),
    }) + "\nOptions have one dash or two and go before the arguments. `actool help COMMAND` tells more.\n"


def page(known: Command) -> str:
    """The help of one command."""
    sections = {
        "NAME": [f"{known.title} - {known.summary.rstrip('.')}"],
        "USAGE": [usage(known)],
        "DESCRIPTION": _description(known),
    }
    if known.options:
        sections["OPTIONS"] = _columns([_row(option) for option in known.options])
    return _sections(sections)


def _description(known: Command) -> list[str]:
    module = __import__(f"stage0.actool.{known.module}", fromlist=("command",))
    text: str = getattr(module, "DESCRIPTION", known.summary)
    return text.strip().splitlines()


def _row(option: Option) -> tuple[str, str]:
    default = str(option.default).lower() if option.kind == FLAG else option.metavar
    return f"--{option.name}={default}", option.help


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    """Two columns; a long entry of the first has a line of its own, the second is wrapped."""
    import textwrap

    indent = max((len(first) for first, _ in rows if len(first) <= _MOST_INDENTED), default=_MOST_INDENTED) + 2
    lines = []
    for first, second in rows:
        wrapped = textwrap.wrap(second, _WIDTH - indent)
        if len(first) + 2 > indent:
            lines.append(first)
            first = ""
        lines.append(first.ljust(indent) + wrapped[0])
        lines += [" " * indent + line for line in wrapped[1:]]
    return lines


def _sections(sections: dict[str, list[str]]) -> str:
    return "\n".join(
        title + ":\n" + "".join(f"\t{line}".rstrip() + "\n" for line in lines) for title, lines in sections.items())
