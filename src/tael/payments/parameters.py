"""What the routes of this package share: parameters, checks of them, and the shape of a stored answer."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from tael.base.http import BadCursor, InvalidField
from tael.guard import Answer

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$", description="`next` of the page before")]
Number = Annotated[str, Field(pattern=r"^[0-9]{1,19}$", description="A 64-bit id as a string")]
BusinessNo = Annotated[str, Field(pattern=r"^[0-9A-Za-z_\-]{1,64}$", description="The merchant's own number")]


def as_response(said: Answer) -> Response:
    """An answer as it is sent, and as it was sent the first time."""
    headers = {"Idempotent-Replayed": "true"} if said.replayed else {}
    return Response(said.body, status_code=said.status, headers=headers, media_type="application/json")


def as_id(text: str) -> int:
    """An id from its digits. Raises `InvalidField`."""
    number = int(text)
    if number >= 2**63:
        raise InvalidField("an id has at most 63 bits")
    return number


def as_cursor(text: str | None) -> int | None:
    """A cursor from its digits. Raises `BadCursor`."""
    number = None if text is None else int(text)
    if number is not None and number >= 2**63:
        raise BadCursor
    return number


def check_metadata(metadata: dict[str, str]) -> None:
    """Raise `InvalidField` when a key or a value is too long."""
    if any(len(name) > 40 or len(value) > 500 for name, value in metadata.items()):
        raise InvalidField("metadata: keys up to 40, values up to 500 characters", param="metadata")
