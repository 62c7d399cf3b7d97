"""The status page: what came in, what is open, what needs a person, and whether the books balance."""

from pathlib import Path

from fastapi import APIRouter, Request, Response

from tael.base.clock import accounting_day
from tael.console.figures import figures
from tael.console.frame import Page, enter, render, visitor


def router(page: Page) -> APIRouter:
    """`/console` and its style sheet."""
    routes = APIRouter(include_in_schema=False)
    style = (Path(__file__).parent / "console.css").read_bytes()

    @routes.get("/console")
    async def status(request: Request, key: str | None = None) -> Response:
        if key is not None:
            return enter(page, request, key)
        who = visitor(page, request)
        shown = await figures(page.db, today=accounting_day(page.now()))
        return render(page, who, "status.html", figures=shown)

    @routes.get("/console/console.css")
    async def css() -> Response:
        return Response(style, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    return routes
