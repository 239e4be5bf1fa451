"""Values in JSON, with expressions where they are needed."""

from __future__ import annotations

from typing import Any

from orchestrator.bicep import arm
from orchestrator.bicep import syntax as s
from orchestrator.bicep.arm import Lit, fn
from orchestrator.bicep.convert import Converter
from orchestrator.bicep.references import Env, Value


class Writer:
    """Values in JSON, with expressions where they are needed."""

    def __init__(self, converter: Converter) -> None:
        self.converter = converter
        self.model = converter.model

    def emit(self, node: s.Node, env: Env) -> Any:
        found, env = self.converter.resolve(node, env)
        match found:
            case Value():
                return self.json(found.json)
            case s.Bool() | s.Int():
                return found.value
            case s.Null():
                return None
            case s.Str(holes=[]):
                return arm.escape(found.parts[0])
            case s.Object() if not any(isinstance(item, s.Spread) for item in found.items):
                return self.properties(list(found.props), env)
            case s.Array() if not any(isinstance(item, s.Spread) for item in found.items):
                return [self.emit(item, env) for item in found.items]
        converted = self.converter.convert(found, env)
        if isinstance(converted, Lit) and isinstance(converted.value, int):
            return converted.value
        return arm.to_text(converted)

    def json(self, value: Any) -> Any:
        if isinstance(value, float):
            return arm.to_text(arm.from_json(value))
        if isinstance(value, str):
            return arm.escape(value)
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, dict):
            return {self._key(key): self.json(item) for key, item in value.items()}
        return value

    @staticmethod
    def _key(text: str) -> str:
        """A property called "copy" would be taken for a loop."""
        return f"[string('{text}')]" if text.lower() == "copy" else arm.escape(text)

    def key(self, node: s.Str, env: Env) -> str:
        if node.literal is not None:
            return self._key(node.literal)
        return arm.to_text(self.converter.convert(node, env))

    def properties(self, props: list[s.Prop], env: Env) -> dict[str, Any]:
        loops = [prop for prop in props if isinstance(s.unwrap(prop.value), s.For)]
        found: dict[str, Any] = {}
        if loops:
            found["copy"] = [
                self.copy(prop.name, self._loop(prop), env, body=True) for prop in loops
            ]
        for prop in props:
            if prop not in loops:
                found[self.key(prop.key, env)] = self.emit(prop.value, env)
        return found

    @staticmethod
    def _loop(prop: s.Prop) -> s.For:
        loop = s.unwrap(prop.value)
        assert isinstance(loop, s.For)
        return loop

    def count(self, loop: s.For, env: Env) -> str:
        return arm.to_text(fn("length", self.converter.convert(loop.array, env)))

    def copy(
        self,
        name: str | None,
        loop: s.For,
        env: Env,
        *,
        body: bool = False,
        batch: int | None = None,
    ) -> dict[str, Any]:
        found: dict[str, Any] = {} if name is None else {"name": name}
        found["count"] = self.count(loop, env)
        if batch is not None:
            found["mode"] = "serial"
            found["batchSize"] = batch
        if body:
            found["input"] = self._input(loop.body, env)
        return found

    def _input(self, node: s.Node, env: Env) -> Any:
        """A loop's body: an object or a string as it is, all else as an expression."""
        found, env = self.converter.resolve(node, env)
        is_object = isinstance(found, s.Object) and not any(
            isinstance(item, s.Spread) for item in found.items
        )
        is_text = isinstance(found, s.Str) and found.literal is not None
        if (
            is_object
            or is_text
            or (isinstance(found, Value) and isinstance(found.json, (dict, str)))
        ):
            return self.emit(node, env)
        return arm.to_text(arm.as_fn(self.converter.convert(node, env)))
