"""output: tables, times, sizes and JSON."""
from __future__ import annotations

import os
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage0.cli import output

NOW = 1_600_000_000 * 10**9
CELLS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=30)


def test_columns_begin_at_tab_stops() -> None:
    rows = [("UUID", "APP", "STATE"), ("01234567", "busybox", "running"), ("", "x", "")]
    assert output.table(rows) == "UUID\t\tAPP\tSTATE\n01234567\tbusybox\trunning\n\t\tx\t\n"


def test_a_table_without_rows_is_nothing() -> None:
    assert output.table([]) == ""


@given(st.integers(2, 5).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=6)))
def test_no_cell_is_cut_and_every_column_begins_at_one_place(rows: list[tuple[str, ...]]) -> None:
    lines = output.table(rows).splitlines()
    assert [tuple(re.split("\t+", line)) for line in lines] == rows
    starts = [[m.start() for m in re.finditer(r"(?<!\S)\S", line.expandtabs(8))] for line in lines]
    assert starts.count(starts[0]) == len(starts)


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "now"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"), (120, "2 minutes ago"),
    (3600, "1 hour ago"), (7200, "2 hours ago"), (86400, "1 day ago"), (3 * 86400, "3 days ago"),
    (8 * 86400, "1 week ago"), (20 * 86400, "2 weeks ago"), (40 * 86400, "1 month ago"), (100 * 86400, "3 months ago"),
    (400 * 86400, "1 year ago"), (600 * 86400, "2 years ago"), (1100 * 86400, "3 years ago"),
    (40 * 365 * 86400, "a long while ago"), (-90, "1 minute from now")])
def test_times_as_people_say_them(seconds: int, text: str) -> None:
    assert output.when(NOW - seconds * 10**9, NOW) == text


def test_times_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        assert output.absolute(1523865600_123_456_789) == "2018-04-16 10:00:00.123 +0200 CEST"
        assert output.absolute(1523865600_120_000_000) == "2018-04-16 10:00:00.12 +0200 CEST"
        assert output.absolute(1515974400_000_000_000) == "2018-01-15 01:00:00 +0100 CET"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert output.rfc3339(1523865600_123_000_000) == "2018-04-16T08:00:00.123Z"
    assert output.rfc3339(1523865600_000_000_000) == "2018-04-16T08:00:00Z"


@pytest.mark.parametrize(("size_bytes", "text"), [
    (0, "0 B"), (9, "9 B"), (10, "10 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (10240, "10 KiB"),
    (195 * 2**20, "195 MiB"), (3 * 2**40, "3.0 TiB"), (2**60, "1.0 EiB")])
def test_sizes(size_bytes: int, text: str) -> None:
    assert output.size(size_bytes) == text


def test_json_on_one_line_and_indented() -> None:
    assert output.json([{"a": 1}]) == '[{"a":1}]'
    assert output.json([{"a": 1}], "json-pretty") == '[\n\t{\n\t\t"a": 1\n\t}\n]'
    assert output.json([]) == "[]"
