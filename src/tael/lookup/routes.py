"""HTTP of looking up: one question."""

from typing import Annotated

from fastapi import APIRouter, Path

from tael.base.db import Database
from tael.base.http import StrictRoute
from tael.guard import Caller, requires
from tael.lookup.finding import LONGEST
from tael.lookup.looking import look_up
from tael.lookup.views import LookupView, lookup_view

Reader = Annotated[Caller, requires("lookup:read")]


def router(db: Database) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute, tags=["lookup"])

    @routes.get("/v1/lookup/{anything}")
    async def look_up_anything(
        caller: Reader,
        anything: Annotated[
            str, Path(max_length=LONGEST, description="Any number: an order's, a channel's, your own, an id")
        ],
    ) -> LookupView:
        """Everything that bears a number, and the whole story of what it belongs to."""
        async with db.transaction() as tx:
            return lookup_view(await look_up(tx, book=caller.book, text=anything))

    del look_up_anything
    return routes
