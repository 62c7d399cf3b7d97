"""HTTP of alerts: what is open and what was, and saying that somebody knows."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from tael.alerts import reading
from tael.alerts.reading import AlertNotFound
from tael.alerts.store import Severity, StoredAlert
from tael.base.db import Database
from tael.base.http import BadCursor, StrictRoute
from tael.guard import Caller, requires

Reader = Annotated[Caller, requires("alerts:read")]
Writer = Annotated[Caller, requires("alerts:write")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[
    str | None, Query(pattern=r"^(open|closed)_[0-9]{1,19}$", description="`next` of the page before")
]  # fmt: skip
AnyJson: TypeAlias = object
"""Whatever the package that raised has put there."""


class AlertTexts(BaseModel):
    """What happened, in English and in Chinese."""

    model_config = ConfigDict(frozen=True)
    en: str
    zh: str


class AlertView(BaseModel):
    """An alert. While it is open there is no other one with its kind and subject; it closes when all is well again.

    `times` is how often it was noticed. Somebody who acknowledges it has seen it; that alone does not close it.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    object: Literal["alert"] = "alert"
    kind: str
    subject: str
    severity: Severity
    state: Literal["open", "closed"]
    text: AlertTexts
    data: AnyJson
    times: int
    opened_at: datetime
    last_at: datetime
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    closed_at: datetime | None


class AlertList(BaseModel):
    """A page of alerts, open ones first, each part newest first. Pass `next` as `starting_after` for the next page."""

    model_config = ConfigDict(frozen=True)
    data: list[AlertView]
    has_more: bool
    next: str | None = Field(description="`open_` or `closed_` and an id")


def router(db: Database, now: Callable[[], datetime]) -> APIRouter:
    """The routes of this package."""
    routes = APIRouter(route_class=StrictRoute, tags=["alerts"])

    @routes.get("/v1/alerts")
    async def list_alerts(
        caller: Reader, limit: Limit = 20, starting_after: Cursor = None, state: Literal["open"] | None = None
    ) -> AlertList:
        """What a person has to know: open alerts first, each part newest first. `state=open`: nothing but these."""
        async with db.transaction() as tx:
            found = await reading.page(
                tx, book=caller.book, limit=limit + 1, after=_after(starting_after), only_open=state == "open"
            )
        shown, more = found[:limit], len(found) > limit
        return AlertList(
            data=[alert_view(one) for one in shown], has_more=more, next=_next(shown[-1]) if more else None
        )

    @routes.post("/v1/alerts/{alert_id}/acknowledge")
    async def acknowledge_alert(
        caller: Writer, alert_id: Annotated[str, Path(pattern=r"^[1-9][0-9]{0,18}$")]
    ) -> AlertView:
        """Say that somebody knows of an alert. The first one stays; once more changes nothing."""
        if int(alert_id) >= 2**63:
            raise AlertNotFound
        async with db.transaction() as tx:
            return alert_view(
                await reading.acknowledge(tx, book=caller.book, id=int(alert_id), by=caller.person, now=now())
            )

    del list_alerts, acknowledge_alert
    return routes


def alert_view(alert: StoredAlert) -> AlertView:
    """The view of an alert."""
    return AlertView(
        id=str(alert.id), kind=alert.kind, subject=alert.subject, severity=alert.severity, state=_state(alert),
        text=AlertTexts(en=alert.text_en, zh=alert.text_zh), data=alert.data, times=alert.times,
        opened_at=alert.opened_at, last_at=alert.last_at, acknowledged_by=alert.acknowledged_by,
        acknowledged_at=alert.acknowledged_at, closed_at=alert.closed_at,
    )  # fmt: skip


def _state(alert: StoredAlert) -> Literal["open", "closed"]:
    return "open" if alert.closed_at is None else "closed"


def _next(last: StoredAlert) -> str:
    return f"{_state(last)}_{last.id}"


def _after(cursor: str | None) -> tuple[bool, int] | None:
    """Where the page before ended. Raises `BadCursor`."""
    if cursor is None:
        return None
    part, _, number = cursor.partition("_")
    if int(number) >= 2**63:
        raise BadCursor(param="starting_after")
    return part == "open", int(number)
