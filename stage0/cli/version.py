"""rkt version: the versions of rkt and of what it stands on."""
from __future__ import annotations

import os
import sys

from stage0 import version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context) -> int:
    """Print five lines; programs look for `rkt Version: X.Y.Z` and `appc Version: X.Y.Z` in them."""
    system = os.uname()
    ctx.say(f"rkt Version: {version.VERSION}")
    ctx.say(f"appc Version: {version.APPC_VERSION}")
    ctx.say(f"Python Version: {'.'.join(map(str, sys.version_info[:3]))}")
    ctx.say(f"Python OS/Arch: {system.sysname.lower()}/{system.machine}")
    ctx.say("Features: -TPM -SDJOURNAL")
    return 0
