"""The one argument of every mutation."""

from typing import Annotated, Any, TypeVar

import strawberry

T = TypeVar("T")


def given(value: Any) -> Any:
    """An input field's value; None when it was left out."""
    return None if value is strawberry.UNSET else value


Input = Annotated[T, strawberry.argument(description="What is asked for.")]
