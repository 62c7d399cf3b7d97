"""The status page: what came in, what is open, what needs a person, and whether the books balance."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tael.base.clock import ACCOUNTING_ZONE, accounting_day
from tael.base.db import Database
from tael.base.money import format_minor
from tael.console import access
from tael.console.access import COOKIE, LIFETIME
from tael.console.figures import figures

_HERE = Path(__file__).parent
_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_WORDS = {
    "created": ("created", "已创建"), "paying": ("paying", "支付中"), "paid": ("paid", "已支付"),
    "failed": ("failed", "失败"), "closed": ("closed", "已关闭"), "refunding": ("refunding", "退款中"),
    "refunded": ("refunded", "已退款"), "invalid": ("invalid", "无效"), "unknown": ("unknown", "结果未知"),
    "late_payment": ("late payment", "关单后到账"), "paid_twice": ("paid twice", "重复支付"),
    "channel.receivable": ("Channel receivable", "应收渠道款"), "customer.balance": ("Customer balances", "客户余额"),
    "suspense.receipts": ("Suspense receipts", "暂收款"),
    "amount_mismatch": ("amount differs", "金额不符"), "account_closed": ("account closed", "账户已关闭"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """What the page is made with."""

    db: Database
    master_key: bytes
    mode: Literal["test", "live"]
    now: Callable[[], datetime]


def router(page: Page) -> APIRouter:
    """`/console` and its style sheet."""
    routes = APIRouter(include_in_schema=False)
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("status.html")
    style = (_HERE / "console.css").read_bytes()

    @routes.get("/console")
    async def status(request: Request, key: str | None = None, lang: str | None = None) -> Response:
        if key is not None:
            access.check_key(page.master_key, key, now=page.now())
            return _enter(key)
        access.check_key(page.master_key, request.cookies.get(COOKIE, ""), now=page.now())
        language = _language(request, lang)
        shown = await figures(page.db, today=accounting_day(page.now()))
        html = template.render(
            figures=shown, zh=language == "zh", mode=page.mode, word=partial(word_of, language=language),
            money=format_minor, at=_at, now=page.now(),
        )  # fmt: skip
        return Response(
            html, media_type="text/html", headers={"Content-Security-Policy": _CSP, "Cache-Control": "no-store"}
        )

    @routes.get("/console/console.css")
    async def css() -> Response:
        return Response(style, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    return routes


def _enter(key: str) -> Response:
    response = Response(status_code=303, headers={"Location": "/console", "Cache-Control": "no-store"})
    response.set_cookie(
        COOKIE, key, max_age=int(LIFETIME.total_seconds()), httponly=True, samesite="strict", path="/console"
    )
    return response


def _language(request: Request, asked: str | None) -> str:
    if asked in {"zh", "en"}:
        return asked
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def _at(instant: datetime) -> str:
    return instant.astimezone(ACCOUNTING_ZONE).strftime("%m-%d %H:%M:%S")


def word_of(name: str, language: str) -> str:
    """A state or reason in the words of the trade, in `en` or `zh`."""
    return _WORDS.get(name, (name, name))[language == "zh"]
