"""A cursor over parsed JSON that knows where it stands and collects what is wrong."""
from __future__ import annotations

from stage2 import jsontext
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    T = TypeVar("T")

MAX_BYTES = 1 << 24
MAX_TEXT = 1 << 20
MAX_ITEMS = 1 << 14
MAX_VIOLATIONS = 100


class ManifestError(RktError):
    """A manifest, or a value for one, breaks rules of the schema; each violation begins with the path of its field."""

    def __init__(self, violations: Iterable[str]) -> None:
        self.violations = tuple(violations)
        more = len(self.violations) - 1
        counted = f" and {more} more violation{'s' * (more > 1)} (actool validate lists all)" if more else ""
        super().__init__(self.violations[0] + counted)


class Form(Value):
    """What a text may be: a name for it that ends "is not …", the test, and the most characters."""

    title: str
    accepts: Callable[[str], bool]
    limit: int = MAX_TEXT

    def fault(self, text: str) -> str | None:
        """What is wrong with a text, or None."""
        if len(text) > self.limit:
            return f"{shown(text)} has {len(text)} characters, {self.limit} are allowed"
        if not self.accepts(text):
            return f"{shown(text)} is not {self.title}"
        return None

    def check(self, text: str) -> str:
        """The text. Raises ManifestError if it has not this form."""
        if fault := self.fault(text):
            raise ManifestError((fault,))
        return text


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: JSON can spell halves of characters."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def is_word(text: str) -> bool:
    """Whether the kernel can take a text: as an argument, a variable, a path."""
    return "\0" not in text and is_unicode(text)


TEXT = Form("Unicode text", is_unicode)
WORD = Form("text without a zero byte", is_word, (1 << 17) - 1)  # MAX_ARG_STRLEN


def loads(data: bytes | str, parse: Callable[[Node], T]) -> T:
    """The value of a JSON text. Raises ManifestError with all violations."""
    if len(data) > MAX_BYTES:
        raise ManifestError((f"manifest: {len(data)} bytes, {MAX_BYTES} are allowed",))
    try:
        found = jsontext.loads(data)
    except ValueError as err:
        raise ManifestError((f"manifest: cannot be read as JSON: {_syntax(err)}",)) from None
    return from_json(found, parse)


def _syntax(error: ValueError) -> str:
    """What is wrong with a JSON text, and what stands there if the reader says where."""
    text = str(error)
    if text.partition(" ")[0][1:].islower():  # "Expecting value", not "NaN is …"
        text = text[0].lower() + text[1:]
    document, place = getattr(error, "doc", ""), getattr(error, "pos", 0)
    rest = document[place:place + 24].split("\n", 1)[0]
    return f"{text}, before {shown(rest)}" if rest else text


def from_json(found: Any, parse: Callable[[Node], T]) -> T:
    """The value of parsed JSON. Raises ManifestError with all violations."""
    node = Node(found)
    if not isinstance(found, dict):
        node.wrong("an object")
        node.stop()
    value = parse(node)
    node.stop()
    return value


class Node:
    """One JSON value and the way to it from the root of its document.

    Its methods return the value in the wanted type. A wrong one is noted, and something
    of that type returned, so that reading goes on and finds the other violations. A
    member that is null counts as missing; keys are found whatever their case.
    """

    __slots__ = ("value", "_parent", "_step", "_members", "_violations")

    def __init__(self, value: Any, parent: Node | None = None, step: str = "",
                 violations: list[str] | None = None) -> None:
        self.value = value
        self._parent = parent
        self._step = step
        self._members: dict[str, Any] | None = None
        self._violations: list[str] = [] if violations is None else violations

    @property
    def path(self) -> str:
        """Where this value stands: `app.ports[0].port`."""
        steps, node = [], self
        while node._parent is not None:
            steps.append(node._step)
            node = node._parent
        return "".join(reversed(steps)).removeprefix(".") or "manifest"

    def note(self, text: str) -> None:
        """Note a violation: what is wrong with this value, as it stands behind the path."""
        self._violations.append(f"{self.path}: {text}")
        if len(self._violations) == MAX_VIOLATIONS:
            self._violations.append("manifest: too much is wrong, the rest was not looked at")
            self.stop()

    def wrong(self, allowed: str) -> None:
        """Note that this value is not what is allowed."""
        self.note(f"missing, must be {allowed}" if self.value is None else f"{shown(self.value)} is not {allowed}")

    def stop(self) -> None:
        """Raise ManifestError if anything was wrong so far."""
        if self._violations:
            raise ManifestError(self._violations)

    def __getitem__(self, key: str) -> Node:
        members = self._members
        if members is None:
            members = self._members = self._fold()
        return Node(members.get(key.lower()), self, "." + key, self._violations)

    def _fold(self) -> dict[str, Any]:
        """The members by key in lower case."""
        folded: dict[str, Any] = {}
        spelt: dict[str, str] = {}
        for key, value in self.value.items():
            lower = key.lower()
            if lower in folded:
                self.note(f"the keys {shown(spelt[lower])} and {shown(key)} differ only in case")
            folded[lower], spelt[lower] = value, key
        return folded

    def is_missing(self) -> bool:
        """Whether nothing stands here, or null."""
        return self.value is None

    def text(self, form: Form = TEXT, default: str | None = None) -> str:
        """A text of this form."""
        text = self.value
        if text is None and default is not None:
            return default
        if not isinstance(text, str):
            self.wrong(form.title)
        elif fault := form.fault(text):
            self.note(fault)
        else:
            return text
        return default or ""

    def optional_text(self, form: Form) -> str | None:
        """A text of this form, None if it is missing."""
        return None if self.value is None else self.text(form)

    def integer(self, lowest: int, highest: int, default: int | None = None) -> int:
        """A whole number of this range."""
        number = self.value
        if number is None and default is not None:
            return default
        if isinstance(number, int) and not isinstance(number, bool) and lowest <= number <= highest:
            return number
        self.wrong(f"a whole number from {lowest} to {highest}")
        return lowest if default is None else default

    def boolean(self, default: bool | None = None) -> bool:
        """true or false."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, bool):
            self.wrong("true or false")
        return self.value is True

    def one_of(self, *allowed: str) -> str:
        """One of these texts, "" if it is none of them."""
        if isinstance(self.value, str) and self.value in allowed:
            return self.value
        self.wrong(" or ".join(map(shown, allowed)))
        return ""

    def objects(self, parse: Callable[[Node], T], unique: str = "", lowest: int = 0) -> tuple[T, ...]:
        """The objects of a list, () if it is missing and may be empty.

        With `unique`, the attribute of that name has to differ from item to item.
        """
        items: list[T] = []
        seen = set()
        for place, value in enumerate(self._items("objects", lowest, MAX_ITEMS)):
            node = Node(value, self, f"[{place}]", self._violations)
            if not isinstance(value, dict):
                node.note(f"{shown(value)} is not an object")
                continue
            item = parse(node)
            items.append(item)
            if unique and (key := getattr(item, unique)):
                if key in seen:
                    node[unique].note(f"{shown(key)} stands twice in the list, allowed is once")
                seen.add(key)
        return tuple(items)

    def texts(self, form: Form = WORD, lowest: int = 0, highest: int = MAX_ITEMS) -> tuple[str, ...]:
        """The texts of a list, () if it is missing and may be empty."""
        items = self._items("texts", lowest, highest)
        for place, value in enumerate(items):
            if not isinstance(value, str):
                Node(value, self, f"[{place}]", self._violations).note(f"{shown(value)} is not {form.title}")
            elif fault := form.fault(value):
                Node(value, self, f"[{place}]", self._violations).note(fault)
        return tuple(items)

    def integers(self, lowest: int, highest: int) -> tuple[int, ...]:
        """The whole numbers of a list, () if it is missing."""
        items = enumerate(self._items("whole numbers", 0, MAX_ITEMS))
        return tuple(Node(value, self, f"[{place}]", self._violations).integer(lowest, highest)
                     for place, value in items)

    def _items(self, what: str, lowest: int, highest: int) -> list[Any]:
        items = self.value
        if items is None and not lowest:
            return []
        if not isinstance(items, list):
            self.wrong(f"a list of {what}")
        elif len(items) < lowest:
            self.note(f"the list is empty, must be a list of at least {lowest} {what[:-1] if lowest == 1 else what}")
        elif len(items) > highest:
            self.note(f"the list has {len(items)} items, {highest} are allowed")
        else:
            return items
        return []

    def object(self, parse: Callable[[Node], T]) -> T:
        """The value of an object that has to be there."""
        if not isinstance(self.value, dict):
            self.wrong("an object")
            return parse(Node({}))  # a value to go on with; what that one misses is noted nowhere
        return parse(self)

    def optional_object(self, parse: Callable[[Node], T]) -> T | None:
        """The value of an object, None if it is missing."""
        return None if self.value is None else self.object(parse)

    def map(self) -> tuple[tuple[str, str], ...]:
        """The members of an object of texts with free keys, () if it is missing."""
        if self.value is None:
            return ()
        if not isinstance(self.value, dict):
            self.wrong("an object of texts")
            return ()
        for key, value in self.value.items():
            node = Node(value, self, f"[{shown(key)}]", self._violations)
            if fault := TEXT.fault(key):
                node.note(f"the key {fault}")
            elif not isinstance(value, str):
                node.note(f"{shown(value)} is not {TEXT.title}")
            elif fault := TEXT.fault(value):
                node.note(fault)
        return tuple(self.value.items())

    def verbatim(self) -> str:
        """The JSON text of the whole value, whatever it is."""
        fault = _unwritable(self.value, jsontext.MAX_DEPTH)
        text = "null" if fault else jsontext.dumps(self.value)
        fault = fault or TEXT.fault(text)
        if fault:
            self.note(fault)
        return text


def _unwritable(value: Any, depth: int) -> str | None:
    """Why a value could not be written as JSON again, or None."""
    if isinstance(value, float) and value - value != 0:
        return "a number is too large, allowed are those below 1.8e308"
    if not isinstance(value, (dict, list)):
        return None
    if depth == 0:
        return f"nested more than {jsontext.MAX_DEPTH} deep, which is not allowed"
    members = value.values() if isinstance(value, dict) else value
    return next((fault for member in members if (fault := _unwritable(member, depth - 1))), None)


def shown(value: Any) -> str:
    """A JSON value as a message shows it: short, on one line, nothing in it that a terminal obeys."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if isinstance(value, float) else jsontext.dumps(value[:65] if isinstance(value, str) else value)
    if len(text) > 64:
        text = text[:60] + "…" + ('"' if isinstance(value, str) else "")
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def compact(members: dict[str, Any]) -> dict[str, Any]:
    """The members of an object without those that are None or empty lists or objects."""
    return {key: value for key, value in members.items() if value is not None and value != [] and value != {}}
