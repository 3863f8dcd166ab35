"""JSON text, read by the C scanner of the standard library without its regular expressions.

`import json` costs every start 7 ms, nearly all of it for `re`, which only the pure
Python scanner and the error messages need. The module is loaded when a text is broken.
"""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    make_scanner: Any

try:
    from _json import encode_basestring as quote
    from _json import make_scanner
except ImportError:  # an interpreter without the accelerator
    make_scanner = None
    from json.encoder import encode_basestring as quote

MAX_DEPTH = 64
_SPACE = " \t\n\r"


class _Context:
    """What the C scanner wants to know of its decoder."""

    strict = True
    object_hook = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}

    @staticmethod
    def object_pairs_hook(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    raise ValueError(f"the key {quote(name)} stands twice in one object")
                seen.add(name)
        return found

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(f"{name} is not a JSON value")


class _OwnContext(_Context):
    """The same for a text that rkt wrote: a key that stands twice is not looked for, which is half the work."""

    object_pairs_hook = None  # type: ignore[assignment]


_scan: Any = None if make_scanner is None else make_scanner(_Context)
_scan_own: Any = None if make_scanner is None else make_scanner(_OwnContext)


def loads(data: bytes | str, *, own: bool = False) -> Any:
    """The value of a JSON text (UTF-8 if bytes); `own` is a text that rkt wrote itself.

    Raises ValueError with line and column of the fault; also for a key that stands twice
    in one object, NaN and Infinity, text behind the value, and nesting beyond reason.
    """
    try:
        text = data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError as err:
        raise ValueError(f"byte {err.start}: not UTF-8") from None
    if _scan is None:
        return _slow(text)
    start = len(text) - len(text.lstrip(_SPACE))
    try:
        value, end = (_scan_own if own else _scan)(text, start)
    except (StopIteration, SystemError):  # SystemError: the scanner wants an exception of `json`, which is not loaded
        return _slow(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if text[end:].strip(_SPACE):
        return _slow(text)
    return value


def _slow(text: str) -> Any:
    import json
    try:
        return json.loads(text, object_pairs_hook=_Context.object_pairs_hook, parse_constant=_Context.parse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any, indent: str | None = None) -> str:
    """The JSON text of a value: on one line without spaces, or a line a member with `indent`."""
    parts: list[str] = []
    _write(value, parts.append, indent, "\n")
    return "".join(parts)


def _write(value: Any, put: Any, indent: str | None, newline: str) -> None:
    if isinstance(value, str):
        put(quote(value))
    elif value is None or value is True or value is False:
        put({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        put(int.__repr__(value))
    elif isinstance(value, float):
        if value - value != 0:
            raise ValueError(f"{value} has no JSON form")
        put(float.__repr__(value))
    elif isinstance(value, dict):
        _members(value, put, indent, newline, "{}", True)
    elif isinstance(value, (list, tuple)):
        _members(value, put, indent, newline, "[]", False)
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def _members(value: Any, put: Any, indent: str | None, newline: str, brackets: str, named: bool) -> None:
    if not value:
        put(brackets)
        return
    inner = newline if indent is None else newline + indent
    put(brackets[0])
    for number, member in enumerate(value):
        put("," if number else "")
        put("" if indent is None else inner)
        if named:
            put(quote(member))
            put(":" if indent is None else ": ")
        _write(value[member] if named else member, put, indent, inner)
    put("" if indent is None else newline)
    put(brackets[1])
