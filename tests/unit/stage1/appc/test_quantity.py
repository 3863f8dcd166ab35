"""Quantities: exact amounts and their canonical text."""
from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage1.appc import node
from stage1.appc.node import ManifestError
from stage1.appc.quantity import TITLE, Quantity

MULTIPLIERS = {"n": Fraction(1, 10 ** 9), "u": Fraction(1, 10 ** 6), "m": Fraction(1, 1000), "": Fraction(1)} | {
    suffix: Fraction(1000 ** power) for power, suffix in enumerate("kMGTPE", 1)} | {
    f"{suffix}i": Fraction(1024 ** power) for power, suffix in enumerate("KMGTPE", 1)} | {"K": Fraction(1000)}
LARGEST = 2 ** 63 - 1


@pytest.mark.parametrize(("text", "canonical", "whole", "milli"), [
    ("0", "0", 0, 0), ("1", "1", 1, 1000), ("+1", "1", 1, 1000), ("1.5", "1500m", 2, 1500), ("500m", "500m", 1, 500),
    ("1000m", "1", 1, 1000), ("1.5Gi", "1536Mi", 1536 << 20, (1536 << 20) * 1000), ("1000M", "1G", 10 ** 9, 10 ** 12),
    ("16m", "16m", 1, 16), ("1k", "1k", 1000, 10 ** 6), ("1K", "1k", 1000, 10 ** 6), ("1Ki", "1Ki", 1024, 1024000),
    ("0.5Ki", "512", 512, 512000), ("1.3Ki", "1331200m", 1332, 1331200), (".5", "500m", 1, 500), ("5.", "5", 5, 5000),
    ("1e3", "1e3", 1000, 10 ** 6), ("1E3", "1e3", 1000, 10 ** 6), ("12e6", "12e6", 12 * 10 ** 6, 12 * 10 ** 9),
    ("1500e0", "1500", 1500, 1500000), ("15e2", "1500", 1500, 1500000), ("1.5e0", "1500e-3", 2, 1500),
    ("5e-3", "5e-3", 1, 5), ("1e+3", "1e3", 1000, 10 ** 6), ("1E", "1E", 10 ** 18, 10 ** 21),
    ("0.1n", "1n", 1, 1), ("1.1n", "2n", 1, 1), ("100u", "100u", 1, 1), ("7Ei", "7Ei", 7 << 60, (7 << 60) * 1000),
    ("8Ei", str(LARGEST), LARGEST, LARGEST * 1000), ("99E", str(LARGEST), LARGEST, LARGEST * 1000),
    ("1e99999999", str(LARGEST), LARGEST, LARGEST * 1000), ("1e-99999999", "1e-9", 1, 1),
    ("0e99999999", "0", 0, 0), ("-1.5", "-1500m", -1, -1500), ("-0", "0", 0, 0), ("0001", "1", 1, 1000)])
def test_amounts(text: str, canonical: str, whole: int, milli: int) -> None:
    quantity = Quantity.of(text)
    assert (str(quantity), quantity.whole, quantity.milli) == (canonical, whole, milli)
    assert Quantity.of(canonical) == quantity


@pytest.mark.parametrize("text", ["", " ", "x", "1x", "1 k", " 1", "1 ", ".", "-", "+-1", "1.2.3", "1ki", "1MI", "1kk",
                                  "e3", "1e", "1e1.5", "1e+-3", "0x10", "1_000", "１", "1e３", "inf", "nan", "1" * 65])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        Quantity.of(text)
    assert caught.value.violations == (f"{node.shown(text)} is not {TITLE}",)


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (0.5, "500m"), (1e22, str(LARGEST)), ("5", "5"), (1e3, "1k")])
def test_numbers_of_json(value: Any, text: str) -> None:
    assert str(node.from_json({"limit": value}, lambda it: Quantity.parse(it["limit"]))) == text


@pytest.mark.parametrize(("value", "violation"), [
    (True, f"limit: true is not {TITLE}"), ([], f"limit: a list is not {TITLE}"),
    ("1 G", f'limit: "1 G" is not {TITLE}'),
    ("-1", 'limit: "-1" is not a quantity of 0 or more'), (-2, "limit: -2 is not a quantity of 0 or more"),
    (None, f"limit: missing, must be {TITLE}"), (float("inf"), f"limit: inf is not {TITLE}")])
def test_violations(value: Any, violation: str) -> None:
    with pytest.raises(ManifestError) as caught:
        node.from_json({"limit": value}, lambda it: Quantity.parse(it["limit"]))
    assert caught.value.violations == (violation,)


@given(st.integers(0, 10 ** 12), st.integers(0, 10 ** 12), st.sampled_from(sorted(MULTIPLIERS)))
def test_amounts_are_exact(units: int, fraction: int, suffix: str) -> None:
    text = f"{units}.{fraction:013}{suffix}"
    exact = Fraction(f"{units}.{fraction:013}") * MULTIPLIERS[suffix]
    quantity = Quantity.of(text)
    assert quantity.nano == min(ceil(exact * 10 ** 9), LARGEST * 10 ** 9)
    assert quantity.whole == ceil(Fraction(quantity.nano, 10 ** 9))


@given(st.from_regex(r"\A[+-]?[0-9]{0,15}(\.[0-9]{0,12})?([numkKMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?\Z"))
def test_the_canonical_text_says_the_same_and_no_other_suffix_would_be_shorter(text: str) -> None:
    if not any(char.isdigit() for char in text.partition("e")[0].partition("E")[0]):
        return
    quantity = Quantity.of(text)
    canonical = str(quantity)
    assert Quantity.of(canonical) == quantity
    assert str(Quantity.of(canonical)) == canonical
    assert "." not in canonical
