"""The cursor: where it stands, what it takes, and how it tells what is wrong."""
from __future__ import annotations

from typing import Any

import pytest

from stage1.appc import node
from stage1.appc.node import WORD, Form, ManifestError, Node, shown
from stage2.errors import RktError

EVEN = Form("text of an even length", lambda text: len(text) % 2 == 0, 8)


def violations(found: Any, read: Any) -> tuple[str, ...]:
    """What is noted when a document is read; () if nothing is."""
    try:
        node.from_json(found, read)
    except ManifestError as err:
        return err.violations
    return ()


@pytest.mark.parametrize(("found", "read", "violation"), [
    ({"a": 5}, lambda n: n["a"].text(EVEN), "a: 5 is not text of an even length"),
    ({"a": "abc"}, lambda n: n["a"].text(EVEN), 'a: "abc" is not text of an even length'),
    ({"a": "x" * 10}, lambda n: n["a"].text(EVEN), 'a: "xxxxxxxxxx" has 10 characters, 8 are allowed'),
    ({}, lambda n: n["a"].text(EVEN), "a: missing, must be text of an even length"),
    ({"a": None}, lambda n: n["a"].text(EVEN), "a: missing, must be text of an even length"),
    ({"a": "\ud800"}, lambda n: n["a"].text(), 'a: "\\ud800" is not Unicode text'),
    ({"a": "x\0"}, lambda n: n["a"].text(WORD), 'a: "x\\u0000" is not text without a zero byte'),
    ({"a": 70000}, lambda n: n["a"].integer(1, 65535), "a: 70000 is not a whole number from 1 to 65535"),
    ({"a": True}, lambda n: n["a"].integer(0, 9), "a: true is not a whole number from 0 to 9"),
    ({"a": 1.5}, lambda n: n["a"].integer(0, 9), "a: 1.5 is not a whole number from 0 to 9"),
    ({"a": "1"}, lambda n: n["a"].integer(0, 9), 'a: "1" is not a whole number from 0 to 9'),
    ({}, lambda n: n["a"].integer(0, 9), "a: missing, must be a whole number from 0 to 9"),
    ({"a": 10 ** 200}, lambda n: n["a"].integer(0, 9),
     "a: 1" + "0" * 59 + "… is not a whole number from 0 to 9"),
    ({"a": 1}, lambda n: n["a"].boolean(), "a: 1 is not true or false"),
    ({"a": "false"}, lambda n: n["a"].boolean(False), 'a: "false" is not true or false'),
    ({"a": "z"}, lambda n: n["a"].one_of("x", "y"), 'a: "z" is not "x" or "y"'),
    ({"a": {}}, lambda n: n["a"].texts(), "a: an object is not a list of texts"),
    ({"a": ["x", 1]}, lambda n: n["a"].texts(), "a[1]: 1 is not text without a zero byte"),
    ({"a": ["x", None]}, lambda n: n["a"].texts(), "a[1]: null is not text without a zero byte"),
    ({"a": ["xx", "x"]}, lambda n: n["a"].texts(EVEN), 'a[1]: "x" is not text of an even length'),
    ({"a": ["x"] * 3}, lambda n: n["a"].texts(highest=2), "a: the list has 3 items, 2 are allowed"),
    ({"a": []}, lambda n: n["a"].texts(lowest=1), "a: the list is empty, must be a list of at least 1 text"),
    ({"a": []}, lambda n: n["a"].texts(lowest=2), "a: the list is empty, must be a list of at least 2 texts"),
    ({"a": [0, -1]}, lambda n: n["a"].integers(0, 9), "a[1]: -1 is not a whole number from 0 to 9"),
    ({"a": {"b": [{}, 3]}}, lambda n: n["a"]["b"].objects(lambda it: it),
     "a.b[1]: 3 is not an object"),
    ({"a": [{"b": 1}]}, lambda n: n["a"].objects(lambda it: it["b"].text(EVEN)),
     "a[0].b: 1 is not text of an even length"),
    ({"a": []}, lambda n: n["a"].object(lambda it: it["b"].integer(0, 9)), "a: a list is not an object"),
    ({"a": {}}, lambda n: n["a"].object(lambda it: it["b"].integer(0, 9)),
     "a.b: missing, must be a whole number from 0 to 9"),
    ({"a": []}, lambda n: n["a"].map(), "a: a list is not an object of texts"),
    ({"a": {"x\n": 5}}, lambda n: n["a"].map(), 'a["x\\n"]: 5 is not Unicode text'),
    ({"a": {"x": "\udc00"}}, lambda n: n["a"].map(), 'a["x"]: "\\udc00" is not Unicode text'),
    ({"a": {"\udc00": ""}}, lambda n: n["a"].map(), 'a["\\udc00"]: the key "\\udc00" is not Unicode text'),
    ({"a": ["\udc00"]}, lambda n: n["a"].verbatim(), 'a: "[\\"\\udc00\\"]" is not Unicode text'),
    ({"a": [float("inf")]}, lambda n: n["a"].verbatim(), "a: a number is too large, allowed are those below 1.8e308"),
    ([], lambda n: None, "manifest: a list is not an object"),
    ({"a": {"name": 1, "Name": 2}}, lambda n: n["a"]["name"].value,
     'a: the keys "name" and "Name" differ only in case'),
    ({"acKind": 1, "ackind": 2}, lambda n: n["x"].value,
     'manifest: the keys "acKind" and "ackind" differ only in case'),
])
def test_violations(found: Any, read: Any, violation: str) -> None:
    assert violations(found, read) == (violation,)


def test_a_violation_returns_something_of_the_wanted_type() -> None:
    wrong = Node({"a": {}})
    assert wrong["a"].text(EVEN) == ""
    assert wrong["a"].text(EVEN, default="no") == "no"
    assert wrong["a"].integer(3, 9) == 3
    assert wrong["a"].integer(3, 9, default=5) == 5
    assert wrong["a"].boolean() is False
    assert wrong["a"].texts() == ()
    with pytest.raises(ManifestError) as caught:
        wrong.stop()
    assert len(caught.value.violations) == 6


def test_keys_are_found_whatever_their_case() -> None:
    assert Node({"PathWhiteList": 5})["pathWhitelist"].value == 5
    assert Node({"supplementaryGids": 5})["supplementaryGIDs"].path == "supplementaryGIDs"


def test_null_counts_as_missing() -> None:
    document = Node({"a": None})
    assert document["a"].text(EVEN, default="no") == "no"
    assert document["a"].optional_text(EVEN) is None
    assert document["a"].integer(0, 9, default=4) == 4
    assert document["a"].boolean(True) is True
    assert document["a"].texts() == document["a"].objects(str) == document["a"].map() == ()
    assert document["a"].optional_object(str) is None
    document.stop()


def test_names_that_have_to_differ() -> None:
    class Named:
        def __init__(self, it: Node) -> None:
            self.name = it["name"].text()

    document = {"a": [{"name": "x"}, {"name": "y"}, {"name": "x"}, {"name": ""}, {"name": ""}]}
    assert violations(document, lambda n: n["a"].objects(Named, unique="name")) == (
        'a[2].name: "x" stands twice in the list, allowed is once',)


def test_all_violations_come_together_and_the_first_is_the_message() -> None:
    def read(it: Node) -> None:
        it["a"].integer(0, 1)
        it["b"]["c"].boolean()

    with pytest.raises(ManifestError) as caught:
        node.from_json({"a": 7, "b": {}}, read)
    assert caught.value.violations == ("a: 7 is not a whole number from 0 to 1", "b.c: missing, must be true or false")
    assert str(caught.value) == ("a: 7 is not a whole number from 0 to 1 "
                                 "and 1 more violation (actool validate lists all)")
    assert isinstance(caught.value, RktError)
    assert str(ManifestError(("one",))) == "one"
    assert str(ManifestError(("one", "two", "three"))) == "one and 2 more violations (actool validate lists all)"


def test_the_list_of_violations_has_an_end() -> None:
    found = violations({"a": [0] * 5000}, lambda n: n["a"].texts())
    assert len(found) == node.MAX_VIOLATIONS + 1
    assert found[-1] == "manifest: too much is wrong, the rest was not looked at"


@pytest.mark.parametrize(("text", "violation"), [
    ('{"a": }', 'manifest: cannot be read as JSON: expecting value: line 1 column 7 (char 6), before "}"'),
    ('{"a": 1,\n  b\n}', "manifest: cannot be read as JSON: expecting property name enclosed in double quotes: "
                        'line 2 column 3 (char 11), before "b"'),
    ("", "manifest: cannot be read as JSON: expecting value: line 1 column 1 (char 0)"),
    (b"\xff", "manifest: cannot be read as JSON: byte 0: not UTF-8"),
    ('{"a": NaN}', "manifest: cannot be read as JSON: NaN is not a JSON value"),
    ('{"a": 1, "a": 2}', 'manifest: cannot be read as JSON: the key "a" stands twice in one object'),
    ('{"a": ' + "[" * 300000 + "}", "manifest: cannot be read as JSON: nested too deeply"),
    (" " * (node.MAX_BYTES + 1), f"manifest: {node.MAX_BYTES + 1} bytes, {node.MAX_BYTES} are allowed"),
])
def test_a_text_that_is_no_document(text: str | bytes, violation: str) -> None:
    with pytest.raises(ManifestError) as caught:
        node.loads(text, lambda it: it)
    assert caught.value.violations == (violation,)


def test_a_number_of_many_digits_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"^manifest: cannot be read as JSON: exceeds the limit"):
        node.loads('{"a": ' + "9" * 5000 + "}", lambda it: it)


def test_verbatim_keeps_the_order_of_keys_and_bounds_the_depth() -> None:
    assert Node({"b": [1, 2.5, "é"], "a": None}).verbatim() == '{"b":[1,2.5,"é"],"a":null}'
    deep: Any = []
    for _ in range(63):
        deep = [deep]
    Node(deep).verbatim()
    assert violations({"a": [deep]}, lambda n: n["a"].verbatim()) == (
        "a: nested more than 64 deep, which is not allowed",)


@pytest.mark.parametrize(("value", "text"), [
    ("a", '"a"'), ("x" * 100, '"' + "x" * 59 + '…"'), (1.5, "1.5"), (None, "null"), (True, "true"), ({}, "an object"),
    ([], "a list"), ("\x1b[2J\u202e", '"\\u001b[2J\\u202e"'), (float("inf"), "inf")])
def test_values_in_messages(value: Any, text: str) -> None:
    assert shown(value) == text
