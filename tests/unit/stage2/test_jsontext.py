"""JSON text: what the json module of the standard library reads and writes, and what it lets pass."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stage2 import jsontext

SCALARS = (some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False)
           | some.text())
VALUES = some.recursive(SCALARS, lambda inner: some.lists(inner, max_size=5)
                        | some.dictionaries(some.text(), inner, max_size=5), max_leaves=30)


@given(VALUES)
def test_a_text_is_that_of_the_json_module(value: object) -> None:
    assert jsontext.dumps(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert jsontext.dumps(value, "\t") == json.dumps(value, ensure_ascii=False, indent="\t")


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    for text in (jsontext.dumps(value), jsontext.dumps(value, "  "), json.dumps(value, indent=1)):
        assert jsontext.loads(text) == jsontext.loads(text, own=True) == value


@given(some.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\\u\x00é', max_size=12))
def test_a_text_is_read_as_by_the_json_module_or_refused_by_both(text: str) -> None:
    def strict(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        expected: object = json.loads(text, object_pairs_hook=strict)
    except ValueError:
        with pytest.raises(ValueError):
            jsontext.loads(text)
    else:
        assert repr(jsontext.loads(text)) == repr(expected)


def test_numbers_keep_their_type() -> None:
    found = jsontext.loads("[1, 1.0, -0, 1e2, 12345678901234567890]")
    assert [(type(number), number) for number in found] == [
        (int, 1), (float, 1.0), (int, 0), (float, 100.0), (int, 12345678901234567890)]


@pytest.mark.parametrize("text, message", [
    ("", "Expecting value: line 1 column 1 (char 0)"),
    ("  \n ", "Expecting value: line 2 column 2 (char 4)"),
    ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ('{"a": 1,\n "b"  2}', "Expecting ':' delimiter: line 2 column 7 (char 15)"),
    ("[1] x", "Extra data: line 1 column 5 (char 4)"),
    ("1 2", "Extra data: line 1 column 3 (char 2)"),
    ('"a\nb"', "Invalid control character at: line 1 column 3 (char 2)"),
    ("NaN", "NaN is not a JSON value"),
    ("[-Infinity]", "-Infinity is not a JSON value"),
    ('{"a": 1, "b": 2, "a": 3}', 'the key "a" stands twice in one object'),
    ('[{"x": {"q\\"": 1, "q\\"": 1}}]', 'the key "q\\"" stands twice in one object'),
    ("\ufeff{}", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
])
def test_a_broken_text_is_refused_with_its_fault(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        jsontext.loads(text)
    assert str(caught.value) == message


def test_bytes_that_are_not_utf8_are_refused_with_their_place() -> None:
    with pytest.raises(ValueError) as caught:
        jsontext.loads(b'{"a": "\xff"}')
    assert str(caught.value) == "byte 7: not UTF-8"
    assert jsontext.loads('"é"'.encode()) == "é"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_text_nested_beyond_reason_is_refused(opening: str) -> None:
    with pytest.raises(ValueError) as caught:
        jsontext.loads(opening * 200_000)
    assert str(caught.value) == "nested too deeply"


def test_own_text_may_have_a_key_twice() -> None:
    assert jsontext.loads('{"a": 1, "a": 2}', own=True) == {"a": 2}


def test_space_may_stand_around_a_value_but_only_that_of_json() -> None:
    assert jsontext.loads(" \t\r\n[ ]\r\n\t ") == []
    with pytest.raises(ValueError) as caught:
        jsontext.loads("[]\u00a0")
    assert str(caught.value) == "Extra data: line 1 column 3 (char 2)"


def test_tuples_are_written_as_lists() -> None:
    assert jsontext.dumps({"a": (1, (2,)), "b": ()}) == '{"a":[1,[2]],"b":[]}'


def test_members_stand_a_line_each_with_indent() -> None:
    assert jsontext.dumps({"a": [1, {}], "b": []}, "  ") == '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}'


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        jsontext.dumps([b"x"])
    assert str(caught.value) == "bytes has no JSON form"


@pytest.mark.parametrize("value, text", [(float("nan"), "nan"), (float("inf"), "inf"), (float("-inf"), "-inf")])
def test_numbers_that_json_does_not_have_are_refused(value: float, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        jsontext.dumps({"a": value})
    assert str(caught.value) == f"{text} has no JSON form"


def test_neither_reading_nor_writing_loads_the_json_module() -> None:
    program = ("import sys; from stage2 import jsontext\n"
               "assert jsontext.loads(jsontext.dumps({'a': [1.5, None, 'x']})) == {'a': [1.5, None, 'x']}\n"
               "print('json' in sys.modules or 're' in sys.modules)")
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[3])
    assert done.stdout == "False\n"


def test_without_the_accelerator_the_json_module_serves() -> None:
    program = ("import sys; sys.modules['_json'] = None\n"
               "from stage2 import jsontext\n"
               "print(jsontext.loads('[1, {\"a\": null}]'), jsontext.dumps({'é': [True]}))")
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[3])
    assert done.stdout == "[1, {'a': None}] {\"é\":[true]}\n"


def test_a_broken_text_is_told_before_the_json_module_is_loaded() -> None:
    program = ("from stage2 import jsontext\n"
               "for text in ('{', '[1,', '\"a', 'x', ''):\n"
               "    try: jsontext.loads(text)\n"
               "    except ValueError as err: print(err)")
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[3])
    assert done.stdout.count("line 1 column") == 5
