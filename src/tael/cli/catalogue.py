"""`tael errors` and `tael openapi`: what the API can say, as files for people and for programs."""

import sys
from pathlib import Path

import msgspec
from fastapi import FastAPI

from tael.app import running
from tael.base.errors import TaelError, catalogue, code, message
from tael.base.settings import Settings
from tael.cli.connection import connect


def errors(*, write: Path | None = None) -> None:
    """Print the catalogue of refusals as Markdown, or write it to a file."""
    text = errors_page()
    _out(text, write)


async def openapi(*, write: Path | None = None) -> None:
    """Print the OpenAPI document, or write it to a file."""
    settings = Settings()
    async with connect() as db, running(settings, dsn=db.dsn, work=False) as system:
        text = openapi_document(system.api)
    _out(text, write)


def errors_page() -> str:
    """docs/errors.md: every code with status and both messages."""
    lines = [
        "# Errors · 错误码",
        "",
        "Every refusal is an RFC 9457 problem document with `code`, `title`, `status`, `retryable`, `request_id` and,",
        "where they help, `detail`, `param` and `hint`. `tael errors --write docs/errors.md` makes this page.",
        "",
        "| code | status | retry | meaning | 含义 |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(error) for error in catalogue())]) + "\n"


def openapi_document(app: FastAPI) -> str:
    """The OpenAPI document, indented and with sorted keys, so that changes show in a diff."""
    return msgspec.json.format(msgspec.json.encode(app.openapi(), order="sorted"), indent=1).decode() + "\n"


def _out(text: str, file: Path | None) -> None:
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, "utf-8")


def _row(error: type[TaelError]) -> str:
    retry = "same key" if error.retryable else ""
    return f"| `{code(error)}` | {error.status} | {retry} | {message(error, 'en')} | {message(error, 'zh')} |"
