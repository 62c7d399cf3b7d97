"""Refusals: an exception beside the code that raises it, rendered as an RFC 9457 problem.

The class name is the public code (`InsufficientBalance` -> `insufficient_balance`), the docstring is the message:
English first, then one line that starts with `zh: `. `status` is the HTTP status. Raising one inside
`Database.transaction()` rolls the transaction back. `docs/errors.md` is generated from these classes.
"""

import re
from typing import ClassVar, TypeAlias

JsonValue: TypeAlias = "str | int | bool | list[JsonValue] | dict[str, JsonValue] | None"


class TaelError(Exception):
    """The request was refused.
    zh: 请求被拒绝。
    """

    status: ClassVar[int] = 400
    retryable: ClassVar[bool] = False

    def __init__(
        self, detail: str = "", *, param: str | None = None, hint: str | None = None, **extra: JsonValue
    ) -> None:
        """Refuse.

        `detail` says what was wrong with this request (never secrets), `param` names the offending field,
        `hint` what to do next, `extra` further members of the problem document.
        """
        super().__init__(detail or message(type(self), "en"))
        self.detail = detail
        self.param = param
        self.hint = hint
        self.extra = extra


def code(error: type[TaelError]) -> str:
    """The public, stable code of a refusal: `InsufficientBalance` -> `insufficient_balance`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", error.__name__).lower()


def message(error: type[TaelError], language: str) -> str:
    """The general message of a refusal in `en` or `zh`, from its docstring."""
    text = error.__doc__ or ""
    english, _, chinese = text.partition("zh:")
    return " ".join((chinese if language == "zh" else english).split())


def catalogue() -> list[type[TaelError]]:
    """Every refusal that is imported by now, sorted by code. Importing `tael.app` imports all."""
    found: set[type[TaelError]] = set()
    waiting = [TaelError]
    while waiting:
        for child in waiting.pop().__subclasses__():
            found.add(child)
            waiting.append(child)
    return sorted(found, key=code)
