"""An attribute that is built when it is first asked for, once, whichever threads ask."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any, Self, TypeVar, overload

T = TypeVar("T")

_LOCK = "_being_built"  # in the instance's __dict__


class built_once(cached_property[T]):  # noqa: N801 - used like `property`
    """`functools.cached_property` for objects that threads share.

    Since Python 3.12 that one has no lock: two threads that ask at the same time build two, and
    what the loser opened is closed by nobody. Before, it had one lock for every instance of a
    class, so that two profiles waited for each other. Here each instance has its own; it may be
    taken again by the thread that holds it, for one attribute is often made of another.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Self | T:
        if instance is None:
            return self
        kept = instance.__dict__
        name = self.attrname
        assert name is not None, "built_once is given its name by the class it stands in"
        with kept.setdefault(_LOCK, threading.RLock()):
            if name not in kept:
                kept[name] = self.func(instance)
            built: T = kept[name]
            return built
