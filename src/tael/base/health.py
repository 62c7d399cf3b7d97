"""Is this process alive, should it get traffic, and what does it measure: for load balancers and SREs."""

import hmac
from collections.abc import Awaitable, Callable

import msgspec
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tael.base.http import NotFound


def router(
    *,
    ready: Callable[[], Awaitable[dict[str, str]]],
    observe: Callable[[], Awaitable[object]],
    metrics_token: str | None,
) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`.

    `ready` answers reasons against traffic by check; `observe` refreshes gauges before they are read. With a
    `metrics_token`, metrics need it as bearer; an empty token hides them.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/healthz")
    async def alive() -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    @routes.get("/readyz")
    async def readiness() -> Response:
        reasons = await ready()
        body = msgspec.json.encode({"status": "not_ready" if reasons else "ok", "reasons": reasons})
        return Response(body, status_code=503 if reasons else 200, media_type="application/json")

    @routes.get("/metrics")
    async def metrics(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if metrics_token is not None and (
            not metrics_token or not hmac.compare_digest(given.encode(), metrics_token.encode())
        ):
            raise NotFound
        await observe()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
