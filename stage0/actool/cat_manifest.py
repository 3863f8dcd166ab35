"""actool cat-manifest: the manifest of an image."""
from __future__ import annotations

import sys

from stage0.actool import checks, imagefile
from stage2 import jsontext
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.actool.main import Context

DESCRIPTION = """\
Prints the manifest as it is stored; with --pretty-print indented by four spaces. A manifest that
is not valid is printed too, with the reason on stderr and exit status 1."""


class CatError(RktError):
    """The manifest of an image cannot be shown."""


def command(ctx: Context, *, file: str, pretty_print: bool) -> int:
    """Print the manifest and check it."""
    data = imagefile.manifest(file)
    text = data
    if pretty_print:
        try:
            text = jsontext.dumps(jsontext.loads(data), "    ").encode()
        except ValueError as err:
            raise CatError(f"manifest of {file}") from err
    sys.stdout.flush()
    sys.stdout.buffer.write(text if text.endswith(b"\n") else text + b"\n")
    sys.stdout.flush()
    _, violations = checks.parse_image(data)
    for violation in violations:
        ctx.note(f"{file}: {violation}")
    return 1 if violations else 0
