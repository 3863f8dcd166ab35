"""rkt config: the merged configuration."""
from __future__ import annotations

import sys

from stage0.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, pretty_print: bool, show_secrets: bool) -> int:
    """Print what all configuration files say together; a terminal shows no secrets unless told to."""
    hidden = sys.stdout.isatty() and not show_secrets
    ctx.say(output.json(ctx.config.to_json(show_secrets=not hidden), None if pretty_print else "json"))
    return 0
