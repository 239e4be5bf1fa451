"""JMESPath selections: the language of `az --query` (https://jmespath.org/specification.html)."""

from __future__ import annotations

from typing import Any

import jmespath
import jmespath.exceptions


class SelectionError(Exception):
    """The expression is wrong. `message`: one sentence; `excerpt`: the place, marked."""

    def __init__(self, message: str, excerpt: str) -> None:
        super().__init__(message)
        self.message = message
        self.excerpt = excerpt


class Selection:
    """A compiled expression. Raises SelectionError if it can't be."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        try:
            self._compiled = jmespath.compile(expression)
        except jmespath.exceptions.EmptyExpressionError:
            raise SelectionError("the expression is empty.", "") from None
        except jmespath.exceptions.LexerError as error:
            what = f"{error.message.rstrip('.')} at position {error.lexer_position + 1}."
            raise SelectionError(what, _mark(expression, error.lexer_position)) from None
        except jmespath.exceptions.IncompleteExpressionError:
            what = "it ends too early."
            raise SelectionError(what, _mark(expression, len(expression))) from None
        except jmespath.exceptions.ParseError as error:
            position = min(error.lex_position, len(expression))
            what = f"unexpected {error.token_value!r} at position {position + 1}."
            raise SelectionError(what, _mark(expression, position)) from None
        except jmespath.exceptions.JMESPathError as error:
            raise SelectionError(f"{str(error).splitlines()[0].rstrip('.')}.", "") from None

    def search(self, data: Any) -> Any:
        """What the expression selects from `data` (dicts, lists, scalars); None if nothing."""
        try:
            return self._compiled.search(data)
        except jmespath.exceptions.JMESPathError as error:
            first = " ".join(str(error).split()).rstrip(".")
            raise SelectionError(f"{first}.", "") from None


def _mark(text: str, position: int) -> str:
    return f"{text}\n{' ' * position}^"
