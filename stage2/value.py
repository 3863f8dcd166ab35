"""Values: frozen, with slots, compared by content, and cheap to import."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Self, dataclass_transform
else:
    def dataclass_transform(**_rules):
        return lambda made: made


_set = object.__setattr__


@dataclass_transform(frozen_default=True)
class ValueType(type):
    """The class of value classes: makes slots and the list of fields from the annotations.

    Fields come in the order of their annotations, those of the bases first. A field
    with a default is given as `name: type = default`; the default has to be immutable.
    """

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> ValueType:
        own = tuple(namespace.get("__annotations__", ()))
        defaults = {field: namespace.pop(field) for field in own if field in namespace}
        namespace["__slots__"] = own
        made = super().__new__(cls, name, bases, namespace)
        made._fields, made._defaults = own, defaults
        for base in bases:
            if isinstance(base, ValueType):
                made._fields = base._fields + made._fields
                made._defaults = {**base._defaults, **made._defaults}
        return made


class Value(metaclass=ValueType):
    """A frozen value. Subclasses only annotate their fields."""

    if not TYPE_CHECKING:
        def __init__(self, *values, **named):
            fields = self._fields
            if len(values) == len(fields) and not named:  # no names to look at: many times as fast
                for field, value in zip(fields, values):
                    _set(self, field, value)
                return
            if len(values) > len(fields):
                raise TypeError(f"{type(self).__name__} has {len(fields)} fields, {len(values)} values given")
            for field, value in zip(fields, values):
                if field in named:
                    raise TypeError(f"{type(self).__name__}: {field} given twice")
                _set(self, field, value)
            for field in fields[len(values):]:
                if field in named:
                    value = named.pop(field)
                elif field in self._defaults:
                    value = self._defaults[field]
                else:
                    raise TypeError(f"{type(self).__name__}: {field} is missing")
                _set(self, field, value)
            if named:
                raise TypeError(f"{type(self).__name__} has no field {', '.join(named)}")

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        values = [changes.pop(field) if field in changes else getattr(self, field) for field in type(self)._fields]
        return type(self)(*values, **changes)

    def __setattr__(self, field: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen, its {field} cannot be set")

    def __delattr__(self, field: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen, its {field} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, field) == getattr(other, field) for field in type(self)._fields)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, field) for field in type(self)._fields)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f}={getattr(self, f)!r}' for f in type(self)._fields)})"
