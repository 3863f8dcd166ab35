"""rkt __complete: what could follow on a command line; the scripts of completion.py call it.

Prints a candidate a line, behind a tab what it is, and `:files` or `:dirs` if the names of such
may follow too. Works out from the option table what is wanted, then looks that up.
"""
from __future__ import annotations

from stage0.cli import argv, options
from stage0.cli.options import COMMANDS, GLOBAL_OPTIONS, Command, Option
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stage0.cli.context import Context

Candidate = tuple[str, str]             # the word, and what it is

_STATES = {                             # states in which a pod can be given to a command
    "run-prepared": ("prepared",), "enter": ("running",), "stop": ("running",),
    "rm": ("prepared", "aborted prepare", "exited", "exited garbage"), "export": ("exited", "exited garbage"),
}


class Wanted(Value):
    """What the last word of a command line can become."""

    word: str = ""                      # what is there of it, without `before`
    before: str = ""                    # what has to stay before each candidate, such as `--app=`
    kind: str = ""                      # pod, app, image, image-or-file, file, dir or ""
    choices: tuple[Candidate, ...] = ()
    command: str = ""
    data_dir: str | None = None         # of a --dir on the line


def command(ctx: Context, *, words: tuple[str, ...]) -> int:
    """Print the candidates for the last word."""
    wanted = want(words or ("",))
    for text, what in candidates(ctx, wanted):
        if text.startswith(wanted.word):
            ctx.say(f"{wanted.before}{text}\t{what}".rstrip("\t"))
    if wanted.kind in ("file", "dir", "image-or-file"):
        ctx.say(":dirs" if wanted.kind == "dir" else ":files")
    return 0


def want(words: Sequence[str]) -> Wanted:
    """What the last of the words of a line, which may be empty, can become. Pure."""
    *before, word = words
    line = _Line()
    for known in before:
        line.take(known)
    if line.pending is not None:
        return _value(line, line.pending, word, "")
    if line.in_list or line.lost:
        return Wanted()
    if word.startswith("-") and not line.only_words:
        name, equals, value = word[2:].partition("=")
        option = line.option(name) if equals else None
        if option is not None:
            return _value(line, option, value, f"--{name}=")
        return line.wanted(word, choices=tuple(line.option_names()))
    if line.command is None or not line.command.module:
        return line.wanted(word, choices=tuple(
            (found.words[-1], found.summary) for found in options.children(line.path) if not found.hidden))
    kind = line.argument()
    if kind == "shell":
        return line.wanted(word, choices=(("bash", ""), ("zsh", ""), ("fish", "")))
    if kind == "command":
        return line.wanted(word, choices=tuple((found.words[-1], found.summary) for found in COMMANDS
                                               if found.words[:-1] == line.found and not found.hidden))
    return line.wanted(word, kind=kind)


class _Line:
    """The words before the last one, as far as they tell what may follow."""

    def __init__(self) -> None:
        self.command: Command | None = None
        self.path: tuple[str, ...] = ()
        self.found: tuple[str, ...] = ()          # positional words
        self.pending: Option | None = None        # it waits for its value
        self.only_words = False                   # no options any more
        self.in_list = False                      # among the arguments of an app
        self.lost = False                         # a command that does not exist
        self.data_dir: str | None = None
        self.has_file = False                     # --uuid-file names the pod

    def take(self, word: str) -> None:
        images = self.command is not None and self.command.images
        if self.pending is not None:
            self._note(self.pending, word)
            self.pending = None
        elif self.in_list:
            self.in_list = word != "---"
        elif images and word == "--":
            self.in_list = True
        elif word == "--":
            self.only_words = True
        elif word.startswith("-") and not self.only_words:
            name, equals, value = word[2:].partition("=")
            option = self.option(name)
            if option is not None and equals:
                self._note(option, value)
            elif option is not None and option.bare is None:
                self.pending = option
        elif self.command is None or not self.command.module:
            self._enter(word)
        else:
            self.found += (word,)
            self.only_words = self.only_words or self.command.raw

    def _enter(self, word: str) -> None:
        try:
            self.command = argv.find(word, self.path)
            self.path = self.command.words
        except argv.UsageError:
            self.lost = True

    def _note(self, option: Option, value: str) -> None:
        if option.name == "dir":
            self.data_dir = value
        self.has_file = self.has_file or option.name == "uuid-file"

    def tables(self) -> tuple[tuple[Option, ...], ...]:
        if self.command is None:
            return (GLOBAL_OPTIONS,)
        of_image = self.command.image_options if self.found else ()
        return (of_image, self.command.options, GLOBAL_OPTIONS)

    def option(self, name: str) -> Option | None:
        return next((found for table in self.tables() for found in table if found.name == name), None)

    def option_names(self) -> Iterator[Candidate]:
        seen = set()
        for table in self.tables():
            for option in table:
                if not option.hidden and option.name not in seen:
                    seen.add(option.name)
                    yield f"--{option.name}" + ("=" if option.bare is None else ""), option.help

    def argument(self) -> str:
        """What the next positional argument is."""
        assert self.command is not None
        arguments = self.command.arguments[1 if self.has_file else 0:]
        if not arguments:
            return ""
        at = min(len(self.found), len(arguments) - 1)
        return arguments[at].complete if at == len(self.found) or arguments[at].many else ""

    def wanted(self, word: str, before: str = "", *, kind: str = "", choices: tuple[Candidate, ...] = ()) -> Wanted:
        title = "" if self.command is None else self.command.title
        return Wanted(word, before, kind, choices, title, self.data_dir)


def _value(line: _Line, option: Option, word: str, before: str) -> Wanted:
    """The value of an option: one of its choices, of a comma list of them, or what it names."""
    if not option.choices:
        kind = "" if option.complete == "none" else option.complete
        choices = (("true", ""), ("false", "")) if option.kind == options.FLAG else ()
        return line.wanted(word, before, kind=kind, choices=choices)
    listed, comma, rest = word.rpartition(",") if option.kind != options.CHOICE else ("", "", word)
    left = tuple((choice, "") for choice in option.choices if choice not in listed.split(","))
    return line.wanted(rest, before + listed + comma, choices=left)


def candidates(ctx: Context, wanted: Wanted) -> Iterable[Candidate]:
    """The words that a line may go on with; what cannot be looked up is left out."""
    from stage2.errors import RktError

    look_up = {"pod": _pods, "app": _apps, "image": _images, "image-or-file": _images}.get(wanted.kind)
    if look_up is None:
        return wanted.choices
    try:
        return look_up(wanted.data_dir or ctx.data_dir, wanted)
    except (RktError, OSError):
        return ()


def _pods(data_dir: str, wanted: Wanted) -> list[Candidate]:
    """Pods in a state that the command takes: by name, if they have one, and by UUID."""
    from stage0 import podinfo
    from stage0.pods import PodError, Pods

    found: list[Candidate] = []
    for pod in Pods(data_dir).all():
        with pod:
            try:
                info = podinfo.read(pod, details=False)
            except (PodError, OSError):
                continue
        if info.state in _STATES.get(wanted.command, (info.state,)):
            what = f"{info.state}: {', '.join(app.name for app in info.apps)}"
            found += [(word, what) for word in (info.name, info.uuid) if word]
    return found


def _apps(data_dir: str, wanted: Wanted) -> list[Candidate]:
    from stage0 import podinfo
    from stage0.pods import PodError, Pods

    found: dict[str, str] = {}
    for pod in Pods(data_dir).all():
        with pod:
            try:
                info = podinfo.read(pod, details=False)
            except (PodError, OSError):
                continue
        if info.state in _STATES.get(wanted.command, (info.state,)):
            found.update((app.name, f"in {info.name or info.uuid}") for app in info.apps)
    return list(found.items())


def _images(data_dir: str, wanted: Wanted) -> list[Candidate]:
    """Images by name and version; by ID for a word that begins like one."""
    from stage0.store.store import Store

    by_id = wanted.word.startswith("sha512-")
    return [(image.id, image.title) if by_id else (image.title, image.id[:19]) for image in Store(data_dir).images()]
