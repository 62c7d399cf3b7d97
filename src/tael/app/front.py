"""What the outside reaches: every route with its permission, the notice endpoint before it, the gate before both."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from tael import __version__, adjustments, routing, withdrawals
from tael.adjustments import routes as adjustment_routes
from tael.alerts import routes as alert_routes
from tael.app.parts import Parts
from tael.approvals import routes as approval_routes
from tael.base import health
from tael.base.errors import TaelError
from tael.base.gate import Gate
from tael.base.http import install_problems
from tael.callbacks import observe_outbox
from tael.callbacks import routes as callback_routes
from tael.console import docs, status
from tael.console import withdrawals as withdrawal_pages
from tael.console.frame import Page
from tael.guard import declared_scope
from tael.ledger import routes as ledger_routes
from tael.lookup import routes as lookup_routes
from tael.payments import routes as payment_routes
from tael.payments.notice_endpoint import NoticeEndpoint
from tael.refunds import routes as refund_routes
from tael.risk import routes as risk_routes
from tael.transfers import routes as transfer_routes
from tael.transfers.endpoint import TransferEndpoint
from tael.withdrawals import routes as withdrawal_routes

BATCHES = frozenset({"/v1/transfer_batches"})
"""Paths that take lists, whose bodies may be larger."""


class UnguardedRoute(TaelError):
    """A route declares no permission; the application does not start.
    zh: 存在未声明权限的接口，应用拒绝启动。
    """

    status = 500


def front(parts: Parts, *, ready: Callable[[], Awaitable[dict[str, str]]]) -> tuple[FastAPI, ASGIApp]:
    """The API, and the application to serve. Raises `UnguardedRoute`."""
    settings = parts.settings
    api = FastAPI(
        title="Tael", version=__version__, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json" if settings.mode == "test" else None,
    )  # fmt: skip
    api.state.key_ring = parts.key_ring
    install_problems(api)
    routers = [*_business(parts), *_operation(parts, ready)]
    scopes_of(routers)
    for router in routers:
        api.include_router(router)
    inner = NoticeEndpoint(TransferEndpoint(api, parts.key_ring, parts.transfers), parts.notices)
    return api, Gate(inner, batches=BATCHES)


def scopes_of(routers: Sequence[APIRouter]) -> dict[tuple[str, str], str]:
    """The permission of every operation below /v1 by method and path. Raises `UnguardedRoute` when one has none."""
    found: dict[tuple[str, str], str] = {}
    for route in (route for router in routers for route in router.routes):
        if isinstance(route, APIRoute) and route.path.startswith("/v1/"):
            scopes = [scope for one in route.dependant.dependencies if (scope := declared_scope(one.call))]
            if not scopes:
                raise UnguardedRoute(route.path)
            found |= {(method, route.path): scopes[0] for method in route.methods or ()}
    return found


def _business(parts: Parts) -> list[APIRouter]:
    platform = parts.platform
    db, ids, now = platform.db, platform.ids, platform.now
    return [
        ledger_routes.router(db, now),
        payment_routes.router(platform, parts.pay_ins, parts.balance_payments, parts.recovery),
        refund_routes.router(platform, parts.refunds),
        transfer_routes.router(platform, parts.transfers, parts.holds),
        withdrawal_routes.router(parts.payees, parts.withdrawals, parts.decisions),
        approval_routes.router(db, ids, now, kinds=(adjustments.KIND, withdrawals.KIND)),
        adjustment_routes.router(parts.adjustments),
        routing.routes.router(db, platform.name_of_account, now),
        risk_routes.router(db, parts.risk, now),
        callback_routes.router(parts.callbacks),
        alert_routes.router(db, now),
        lookup_routes.router(db),
    ]


def _operation(parts: Parts, ready: Callable[[], Awaitable[dict[str, str]]]) -> list[APIRouter]:
    settings, db, now = parts.settings, parts.platform.db, parts.platform.now
    page = Page(db, parts.secret, settings.mode, now)
    return [
        status.router(page),
        withdrawal_pages.router(page, parts.decisions, parts.payouts),
        health.router(
            ready=ready, observe=lambda: observe_outbox(db, now=now()),
            metrics_token=settings.metrics_token.get_secret_value() if settings.mode == "live" else None,
        ),
        *([docs.router()] if settings.mode == "test" else []),
    ]  # fmt: skip
