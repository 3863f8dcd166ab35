"""actool version: the version of the specification that actool follows."""
from __future__ import annotations

from stage0.version import APPC_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.actool.main import Context


def command(ctx: Context) -> int:
    """Print the version."""
    print(f"actool version {APPC_VERSION}")
    return 0
