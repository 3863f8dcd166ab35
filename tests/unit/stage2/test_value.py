"""Values: frozen, with slots, compared by content."""
from __future__ import annotations

import pytest

from stage2.value import Value


class Point(Value):
    """Two required fields, one with a default."""

    x: int
    y: int
    unit: str = "m"


class Named(Point):
    """Fields behind those of its base, and a method."""

    name: str = "origin"

    def title(self) -> str:
        return f"{self.name} {self.x}/{self.y}"


class Other(Value):
    """The fields of Point in another class."""

    x: int
    y: int
    unit: str = "m"


def test_fields_by_place_by_name_and_by_default() -> None:
    assert Point(1, 2, "km") == Point(1, y=2, unit="km") == Point(unit="km", y=2, x=1)
    assert Point(1, 2).unit == "m"


def test_fields_of_a_base_come_first() -> None:
    named = Named(1, 2, "m", "here")
    assert (named.x, named.y, named.unit, named.name) == (1, 2, "m", "here")
    assert Named(3, 4).title() == "origin 3/4"


@pytest.mark.parametrize("make, message", [
    (lambda: Point(1), "Point: y is missing"),
    (lambda: Point(y=1), "Point: x is missing"),
    (lambda: Point(1, 2, "m", 4), "Point has 3 fields, 4 values given"),
    (lambda: Point(1, 2, x=3), "Point: x given twice"),
    (lambda: Point(1, 2, z=3), "Point has no field z"),
    (lambda: Point(1, 2, "m", z=3), "Point has no field z"),
    (lambda: Point(1, 2).replace(z=3), "Point has no field z"),
])
def test_a_wrong_call_is_a_type_error(make, message) -> None:
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == message


def test_a_value_is_frozen() -> None:
    point = Point(1, 2)
    with pytest.raises(AttributeError) as caught:
        point.x = 3
    assert str(caught.value) == "Point is frozen, its x cannot be set"
    with pytest.raises(AttributeError) as caught:
        del point.y
    assert str(caught.value) == "Point is frozen, its y cannot be deleted"
    with pytest.raises(AttributeError) as caught:
        point.z = 3
    assert str(caught.value) == "Point is frozen, its z cannot be set"
    assert point == Point(1, 2)


def test_a_value_has_no_dictionary() -> None:
    assert not hasattr(Point(1, 2), "__dict__")
    assert not hasattr(Named(1, 2), "__dict__")


def test_equality_is_by_class_and_content() -> None:
    assert Point(1, 2) != Point(1, 3)
    assert Point(1, 2) != Other(1, 2)
    assert Point(1, 2) != Named(1, 2)
    assert (Point(1, 2) == (1, 2, "m")) is False


def test_equal_values_hash_alike_and_values_of_two_classes_do_not() -> None:
    assert hash(Point(1, 2)) == hash(Point(1, 2, "m"))
    assert len({Point(1, 2), Point(1, 2, "m"), Other(1, 2)}) == 2


def test_replace_makes_a_changed_copy() -> None:
    point = Named(1, 2)
    assert point.replace(y=5, name="there") == Named(1, 5, "m", "there")
    assert point == Named(1, 2)


def test_the_representation_can_be_read_back() -> None:
    assert repr(Named(1, 2)) == "Named(x=1, y=2, unit='m', name='origin')"
    assert eval(repr(Named(1, 2))) == Named(1, 2)
