"""Types of the part of zen-engine that Tael uses; its own say dict and Any."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

class _StaticLoader(TypedDict):
    type: Literal["static"]
    content: Mapping[str, object]

class _Options(TypedDict):
    loader: _StaticLoader

class _Request(TypedDict):
    key: str
    context: Mapping[str, object]

class _EvaluateOptions(TypedDict):
    trace: bool

class ZenEngine:
    def __init__(self, options: _Options) -> None: ...
    def evaluate_batch(self, requests: Sequence[_Request], options: _EvaluateOptions) -> list[object]: ...

def evaluate_expression(expression: str, context: Mapping[str, object]) -> object: ...
def evaluate_unary_expression(expression: str, context: Mapping[str, object]) -> object: ...
