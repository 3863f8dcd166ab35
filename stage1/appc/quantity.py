"""Amounts with a suffix, `500m`, `1.5Gi`, `12e6`, in exact arithmetic."""
from __future__ import annotations

from stage1.appc.node import ManifestError, shown
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage1.appc.node import Node

_NANO = 10 ** 9
_LARGEST = ((1 << 63) - 1) * _NANO
_DECIMAL = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")   # 1000 ** -3 … 1000 ** 6
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_MAX_CHARACTERS = 64


class Quantity(Value):
    """An amount in billionths (a finer one is rounded up), and the family of suffixes that it is written with."""

    nano: int
    family: str = "decimal"   # or binary, exponent

    @classmethod
    def of(cls, text: str) -> Quantity:
        """The amount that a text says. Raises ManifestError."""
        found = _parse(text)
        if found is None:
            raise ManifestError((f"{shown(text)} is not {TITLE}",))
        return found

    @classmethod
    def parse(cls, node: Node) -> Quantity:
        value = node.value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        found = _parse(repr(value) if is_number else value) if is_number or isinstance(value, str) else None
        if found is None:
            node.wrong(TITLE)
        elif found.nano < 0:
            node.wrong("a quantity of 0 or more")
        return found or cls(0)

    @property
    def whole(self) -> int:
        """The amount in whole units, rounded up."""
        return -(-self.nano // _NANO)

    @property
    def milli(self) -> int:
        """The amount in thousandths, rounded up."""
        return -(-self.nano // 10 ** 6)

    def __str__(self) -> str:
        """The canonical text: no fraction, and the largest suffix that loses nothing."""
        if self.family == "binary":
            amount, power = self.nano // _NANO, 0
            while amount and amount % 1024 == 0 and power < 6:
                amount, power = amount // 1024, power + 1
            return f"{amount}{_BINARY[power]}"
        amount, power = self.nano, -3
        while amount and amount % 1000 == 0 and (power < 6 or self.family == "exponent"):
            amount, power = amount // 1000, power + 1
        if amount == 0:
            return "0"
        if self.family == "exponent":
            return f"{amount}e{3 * power}" if power else str(amount)
        return f"{amount}{_DECIMAL[power + 3]}"


TITLE = "a quantity (a number and n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or eN)"


def _parse(text: str) -> Quantity | None:
    if len(text) > _MAX_CHARACTERS or not text.isascii():
        return None
    sign = -1 if text[:1] == "-" else 1
    number = text[1:] if text[:1] in ("+", "-") else text
    suffix = number.lstrip("0123456789.")
    digits, _, fraction = number[:len(number) - len(suffix)].partition(".")
    if not digits + fraction or "." in fraction:
        return None
    scale = _scale(suffix)
    if scale is None:
        return None
    family, numerator, denominator = scale
    amount = int(digits + fraction) * numerator * _NANO
    nano = sign * min(-(-amount // (denominator * 10 ** len(fraction))), _LARGEST)
    return Quantity(nano, _kept_family(nano, family))


def _scale(suffix: str) -> tuple[str, int, int] | None:
    """The family of a suffix, and what it multiplies and divides by."""
    if suffix == "K":  # as the specification spells it; rkt wrote and took only k
        suffix = "k"
    if suffix in _BINARY[1:]:
        return "binary", 1024 ** _BINARY.index(suffix), 1
    if suffix in _DECIMAL:
        power = 3 * _DECIMAL.index(suffix) - 9
        return "decimal", 10 ** max(power, 0), 10 ** max(-power, 0)
    exponent = suffix[2:] if suffix[1:2] in ("+", "-") else suffix[1:]
    if suffix[0] not in "eE" or not exponent.isdigit():
        return None
    power = min(int(exponent), 2 * _MAX_CHARACTERS)  # beyond that, it is 1n or the largest amount anyway
    return ("exponent", 1, 10 ** power) if suffix[1] == "-" else ("exponent", 10 ** power, 1)


def _kept_family(nano: int, family: str) -> str:
    """The family that the canonical text shows: an amount that is no whole number of Ki is written in decimal."""
    if family == "binary":
        shows = abs(nano) >= 1024 * _NANO and nano % (1024 * _NANO) == 0
    else:
        shows = family == "exponent" and "e" in str(Quantity(nano, family))
    return family if shows else "decimal"
