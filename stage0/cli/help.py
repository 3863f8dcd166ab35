"""rkt help: what commands do and which options they have.

Pages that list commands are printed by us, as typer with rich takes 200 ms for one; the page of
a single command is typer's, made from the option table.
"""
from __future__ import annotations

import os
import sys

from stage0.cli import argv, options, pages
from stage0.cli.context import ReaderGone
from stage0.cli.options import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from stage0.cli.context import Context

PROLOGUE = "rkt runs App Container images as pods, without a daemon."
_GLOBAL_PANEL = "Global options"


def command(ctx: Context, *, words: tuple[str, ...]) -> int:
    """Show the page of a command, or the list of commands."""
    found = _named(words)
    if found is None or not found.module:
        ctx.say(overview(() if found is None else found.words, colour=_coloured(sys.stdout.isatty())).rstrip("\n"))
    else:
        _page(found)
    return 0


def _named(words: tuple[str, ...]) -> Command | None:
    """The command that words name, cut short or not. Raises UsageError."""
    found = None
    for word in words:
        try:
            found = argv.find(word, found.words if found else ())
        except argv.UsageError as err:
            raise argv.UsageError(str(err), ("help",)) from None
    return found


def _coloured(is_terminal: bool) -> bool:
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def overview(path: tuple[str, ...] = (), *, colour: bool = False) -> str:
    """The commands below a path, in groups, and the global options."""
    title = " ".join(path)
    text = _Page(colour)
    text.paragraph(f"{options.command(*path).summary} {pages.DESCRIPTIONS[title]}" if path else PROLOGUE)
    text.heading("Usage")
    text.line("  " + " ".join(["rkt", *path, "[OPTIONS] COMMAND …"]))
    below = [found for found in options.children(path) if not found.hidden]
    for panel in dict.fromkeys(found.panel for found in below):
        text.heading(panel or "Commands")
        text.columns((found.words[-1], found.summary) for found in below if found.panel == panel)
    text.heading(_GLOBAL_PANEL)
    text.columns((spelled(option), option.help + _default(option))
                 for option in options.GLOBAL_OPTIONS if not option.hidden)
    if title in pages.EXAMPLES:
        text.heading("Examples")
        text.columns((line, what) for what, line in pages.EXAMPLES[title])
    text.line("")
    text.paragraph("Names of commands may be cut short. "
                   + " ".join(["`rkt", *path, "COMMAND --help` tells more of a command."]))
    return text.text()


class _Page:
    """Text in headings and columns, as wide as the terminal."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour
        self.parts: list[str] = []
        self.width = min(_width(), 120)

    def line(self, text: str) -> None:
        self.parts.append(text + "\n")

    def heading(self, text: str) -> None:
        self.line("\n" + (f"\033[1;33m{text}:\033[0m" if self.colour else f"{text}:"))

    def paragraph(self, text: str) -> None:
        for line in wrap(text, self.width):
            self.line(line)

    def columns(self, rows: Iterable[tuple[str, str]]) -> None:
        found = list(rows)
        left = max(len(name) for name, _ in found) + 4
        for name, text in found:
            shown = f"\033[1;36m{name}\033[0m" if self.colour else name
            first, *others = wrap(text, max(self.width - left, 24))
            self.line(f"  {shown}{' ' * (left - 2 - len(name))}{first}")
            for line in others:
                self.line(" " * left + line)

    def text(self) -> str:
        return "".join(self.parts)


def _width() -> int:
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns or 80)
    except (OSError, ValueError):
        return 100


def wrap(text: str, width: int) -> list[str]:
    """The words of a text in lines of at most this width, but for words that are longer."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] += (" " if lines[-1] else "") + word
    return lines


def spelled(option: Option) -> str:
    """The option as the pages show it: `--name=VALUE`, `--name[=VALUE]`."""
    if option.kind == options.FLAG or not option.metavar:
        return f"--{option.name}"
    return f"--{option.name}[={option.metavar}]" if option.bare is not None else f"--{option.name}={option.metavar}"


def default_text(option: Option) -> str:
    """The default of an option in words; "" if it is none, or false."""
    if option.shown:
        return option.shown
    return "" if option.default in (None, False, (), "") else str(option.default).lower()


def _default(option: Option) -> str:
    shown = default_text(option)
    return f" [default: {shown}]" if shown else ""


def _page(found: Command) -> None:
    """Print the page of a command, by typer."""
    import inspect

    import typer
    from rich.markup import escape
    from typer.core import TyperCommand

    class Page(TyperCommand):
        def collect_usage_pieces(self, ctx: object) -> list[str]:
            return argv.usage(found).split(" ")[len(found.words):]

    def parameter(option: Option, panel: str) -> inspect.Parameter:
        is_flag = option.kind == options.FLAG
        info = typer.Option(
            False if is_flag else None, f"--{option.name}", help=escape(option.help + _default(option)),
            metavar=None if is_flag else spelled(option).removeprefix(f"--{option.name}").removeprefix("="),
            show_default=False, rich_help_panel=panel, hidden=option.hidden)
        return inspect.Parameter(f"{panel}_{option.key}".replace(" ", "_"), inspect.Parameter.KEYWORD_ONLY,
                                 default=info, annotation=bool if is_flag else str | None)

    def shown() -> None:
        """Never called: `--help` is all that typer gets to see."""

    parameters = [parameter(option, panel) for panel, table in (
        ("Options", found.options), ("Options of the image before them", found.image_options),
        (_GLOBAL_PANEL, options.GLOBAL_OPTIONS)) for option in table if option.name != "help"]
    shown.__signature__ = inspect.Signature(parameters)                            # type: ignore[attr-defined]
    shown.__annotations__ = {made.name: made.annotation for made in parameters}
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    app.command(name=found.title, help=escape(_text(found)), epilog=_examples(found), cls=Page)(shown)
    try:
        app(["--help"], prog_name=f"rkt {found.title}", standalone_mode=False)
    except SystemExit:               # how rich takes a reader that went away
        raise ReaderGone from None


def _text(found: Command) -> str:
    """Summary, description and arguments, a paragraph a line; indented lines stay as they are."""
    paragraphs = pages.DESCRIPTIONS[found.title].split("\n\n")
    paragraphs = [text if text.startswith(" ") else " ".join(text.split()) for text in paragraphs]
    arguments = [f"  {of.metavar.split()[0]}  {of.help}" for of in found.arguments]
    return "\n\n".join([found.summary, *paragraphs, *(["\n".join(arguments)] if arguments else [])])


def _examples(found: Command) -> str | None:
    from rich.markup import escape

    lines = [f"  [bold cyan]{escape(line)}[/]\n    {escape(what)}"
             for what, line in pages.EXAMPLES.get(found.title, ())]
    return "\n\n".join(["[bold yellow]Examples:[/]", *lines]) if lines else None
