"""The entry points of stage1 as programs: `python3 -m stage1 run|enter|stop|gc ARGUMENT…`.

They run in the pod directory, with RKT_LOCK_FD naming the descriptor of the pod's lock
(docs/stage1-interface.md).
"""
from __future__ import annotations

import sys

from stage2 import errors

# By name: the module. None is called like one of the standard library.
ENTRY_POINTS = {"run": "run", "enter": "enter", "stop": "stop", "gc": "collect"}


def main(argv: list[str]) -> int:
    """Call an entry point; 254 and one line on stderr if it fails."""
    name = argv[0] if argv else ""
    if name not in ENTRY_POINTS:
        print(f"stage1: {name or 'no entry point'}: not one of {', '.join(ENTRY_POINTS)}", file=sys.stderr)
        return 254
    try:
        from importlib import import_module
        return int(import_module(f"stage1.{ENTRY_POINTS[name]}").main(argv[1:]))
    except (OSError, errors.RktError) as err:
        describe = errors.tree if "--debug" in argv else errors.line
        print(f"stage1: {name}: {describe(err)}", file=sys.stderr)
        return 254


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
