"""What every command with `--json` prints: one line for programs."""

import sys

import msgspec
from pydantic import BaseModel


def print_json(value: object) -> None:
    """Print a value as one line of JSON; the views of the API in it look as they do there."""
    sys.stdout.write(msgspec.json.encode(value, enc_hook=_fields).decode() + "\n")


def _fields(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"{type(value).__name__} has no place in JSON")
