"""Expected failures, and how a failure reads."""
from __future__ import annotations


class RktError(Exception):
    """An expected failure: its text says what was tried, on what, and why it failed.

    Subclasses stand beside the code that raises them, one a subject. The way out, if
    there is one, stands in brackets at the end of the text.
    """


def text(error: BaseException) -> str:
    """One failure without its causes: `PATH: reason` for an OSError that knows a path."""
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror[0].lower() + error.strerror[1:]
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return ": ".join([" -> ".join(names), reason] if names else [reason])
    return str(error) or type(error).__name__


def chain(error: BaseException) -> list[BaseException]:
    """A failure and its causes, the outermost first."""
    found = [error]
    while (cause := found[-1].__cause__) is not None and cause not in found:
        found.append(cause)
    return found


def line(error: BaseException) -> str:
    """The failure in one line: the outermost text and the innermost cause."""
    causes = chain(error)
    texts = [text(causes[0])] + ([text(causes[-1])] if len(causes) > 1 else [])
    return ": ".join(part.replace("\n", " ") for part in texts)


def tree(error: BaseException) -> str:
    """The whole chain, a line a cause, for --debug."""
    lines = [text(cause) for cause in chain(error)]
    return "\n".join([lines[0]] + ["  " * depth + "└─" + part for depth, part in enumerate(lines[1:])])
