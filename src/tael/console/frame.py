"""What every page of the console shares: who looks, the language, the template, and the headers that protect it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tael.base.clock import ACCOUNTING_ZONE
from tael.base.db import Database
from tael.base.money import format_minor
from tael.console import access
from tael.console.access import COOKIE, LIFETIME
from tael.console.words import word_of

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True, slots=True)
class Page:
    """What pages are made with."""

    db: Database
    master_key: bytes
    mode: Literal["test", "live"]
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks: the person of the link, its key, and the language of the page."""

    person: str
    key: str
    language: Literal["zh", "en"]


def visitor(page: Page, request: Request) -> Visitor:
    """Whoever opened the console with a genuine link. Raises `ConsoleLinkNeeded`."""
    key = request.cookies.get(COOKIE, "")
    return Visitor(access.check_key(page.master_key, key, now=page.now()), key, _language(request))


def enter(page: Page, request: Request, key: str) -> Response:
    """Take the key of a link into a cookie and show the same page without it. Raises `ConsoleLinkNeeded`."""
    access.check_key(page.master_key, key, now=page.now())
    response = Response(status_code=303, headers={"Location": request.url.path, "Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE, key, max_age=int(LIFETIME.total_seconds()), httponly=True, samesite="strict", path="/console"
    )
    return response


def render(page: Page, who: Visitor, template: str, **shown: object) -> Response:
    """A page as an answer; `shown` is what its template names."""
    html = _TEMPLATES.get_template(template).render(
        zh=who.language == "zh", mode=page.mode, word=partial(word_of, language=who.language), money=format_minor,
        at=_at, now=page.now(), token=access.form_token(page.master_key, who.key), person=who.person, **shown,
    )  # fmt: skip
    return Response(
        html, media_type="text/html", headers={"Content-Security-Policy": _CSP, "Cache-Control": "no-store"}
    )


def _language(request: Request) -> Literal["zh", "en"]:
    match request.query_params.get("lang"):
        case "zh":
            return "zh"
        case "en":
            return "en"
        case _:
            return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def _at(instant: datetime) -> str:
    return instant.astimezone(ACCOUNTING_ZONE).strftime("%m-%d %H:%M:%S")
