"""HTTP of risk control: rule sets and their life, rules tried on the past, verdicts, freezes of accounts."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Path, Query

from tael.base.db import Database
from tael.base.errors import JsonValue, TaelError
from tael.base.http import InvalidField, StrictRoute
from tael.guard import Caller, requires
from tael.ledger import AccountNotFound
from tael.risk import freezing, rule_sets, shapes
from tael.risk.freezing import Freeze
from tael.risk.judging import Risk
from tael.risk.verdicts import find_verdict

Reader = Annotated[Caller, requires("risk:read")]
Writer = Annotated[Caller, requires("risk:write")]
Operation = Annotated[str, Path(pattern=r"^[a-z][a-z_]{0,39}$")]
Version = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,8}$")]
Number = Annotated[str, Path(pattern=r"^[0-9A-Za-z_.:-]{1,64}$")]
AccountId = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,18}$")]


class NeverFrozen(TaelError):
    """This account was never frozen by risk control.
    zh: 该账户从未被风控冻结。
    """

    status = 404


def router(db: Database, risk: Risk, now: Callable[[], datetime]) -> APIRouter:
    """All routes of risk control."""
    routes = APIRouter(route_class=StrictRoute, tags=["risk"])
    _rule_set_routes(routes, db, now)
    _life_routes(routes, db, now)
    _verdict_routes(routes, db, risk, now)
    _freeze_routes(routes, db, now)
    return routes


def _rule_set_routes(routes: APIRouter, db: Database, now: Callable[[], datetime]) -> None:
    @routes.get("/v1/risk/rule_sets")
    async def list_rule_sets(
        caller: Reader, operation: Annotated[str | None, Query(pattern=r"^[a-z][a-z_]{0,39}$")] = None
    ) -> shapes.RuleSetList:
        """The versions of rules, a hundred at most, without their tables."""
        async with db.transaction() as tx:
            found = await rule_sets.listed(tx, book=caller.book, operation=operation)
        return shapes.RuleSetList(data=[shapes.rule_set_out(one) for one in found])

    @routes.post("/v1/risk/rule_sets", status_code=201)
    async def create_rule_set(caller: Writer, body: shapes.NewRuleSet) -> shapes.RuleSetWithContent:
        """Store rules as a draft. Nothing uses a draft; `problems` says what it lacks to be put into service."""
        async with db.transaction() as tx:
            made = await rule_sets.draft(
                tx, book=caller.book, operation=body.operation, content=_plain(body.content), note=body.note,
                author=caller.key_id, now=now(),
            )  # fmt: skip
        return shapes.with_content(made)

    @routes.get("/v1/risk/rule_sets/{operation}/{version}")
    async def get_rule_set(
        caller: Reader, operation: Operation, version: Version, origin: Literal["own", "shipped"] = "own"
    ) -> shapes.RuleSetWithContent:
        """One version with its table."""
        book = caller.book if origin == "own" else rule_sets.SHIPPED_BOOK
        async with db.transaction() as tx:
            return shapes.with_content(await rule_sets.find(tx, book=book, operation=operation, version=int(version)))


def _life_routes(routes: APIRouter, db: Database, now: Callable[[], datetime]) -> None:
    @routes.post("/v1/risk/rule_sets/{operation}/{version}/shadow")
    async def shadow_rule_set(caller: Writer, operation: Operation, version: Version) -> shapes.RuleSetView:
        """Evaluate a draft beside the active rules; its answers are kept and have no effect."""
        async with db.transaction() as tx:
            return shapes.rule_set_out(
                await rule_sets.shadow(tx, book=caller.book, operation=operation, version=int(version))
            )

    @routes.post("/v1/risk/rule_sets/{operation}/{version}/activate")
    async def activate_rule_set(caller: Writer, operation: Operation, version: Version) -> shapes.RuleSetView:
        """Put rules into service, after checking them. A retired version comes back as a new one."""
        async with db.transaction() as tx:
            return shapes.rule_set_out(
                await rule_sets.activate(
                    tx, book=caller.book, operation=operation, version=int(version), author=caller.key_id, now=now()
                )
            )

    @routes.post("/v1/risk/rule_sets/{operation}/{version}/retire")
    async def retire_rule_set(caller: Writer, operation: Operation, version: Version) -> shapes.RuleSetView:
        """Take rules out of service; without active rules of one's own the shipped ones hold."""
        async with db.transaction() as tx:
            return shapes.rule_set_out(
                await rule_sets.retire(tx, book=caller.book, operation=operation, version=int(version))
            )


def _verdict_routes(routes: APIRouter, db: Database, risk: Risk, now: Callable[[], datetime]) -> None:
    @routes.post("/v1/risk/dry_run")
    async def dry_run_rules(caller: Reader, body: shapes.DryRun) -> shapes.ReportView:
        """Judge the operations of the last days again with other rules: would have stopped so many of so many."""
        if (body.content is None) == (body.version is None):
            raise InvalidField("either a table or a version is expected", param="content")
        async with db.report() as tx:
            found = await risk.dry_run(
                tx, book=caller.book, operation=body.operation, days=body.days, version=body.version,
                content=None if body.content is None else _plain(body.content), now=now(),
            )  # fmt: skip
        return shapes.report_out(found)

    @routes.get("/v1/risk/verdicts/{operation}/{number}")
    async def get_verdict(caller: Reader, operation: Operation, number: Number) -> shapes.VerdictView:
        """What was said about an operation, and why."""
        async with db.transaction() as tx:
            return shapes.verdict_out(await find_verdict(tx, book=caller.book, operation=operation, number=number))


def _freeze_routes(routes: APIRouter, db: Database, now: Callable[[], datetime]) -> None:
    @routes.post("/v1/risk/accounts/{account_id}/freeze")
    async def freeze_account(caller: Writer, account_id: AccountId, body: shapes.Because) -> shapes.FreezeView:
        """Freeze a customer's account: nothing new is debited from it. Again changes nothing."""
        async with db.transaction() as tx:
            return shapes.freeze_out(
                await freezing.freeze(
                    tx, book=caller.book, account=_account(account_id), reason=body.reason, by=caller.key_id, now=now()
                )
            )

    @routes.post("/v1/risk/accounts/{account_id}/unfreeze")
    async def unfreeze_account(caller: Writer, account_id: AccountId, body: shapes.Because) -> shapes.FreezeView:
        """Lift the freeze of an account. Again changes nothing."""
        async with db.transaction() as tx:
            lifted: Freeze | None = await freezing.unfreeze(
                tx, book=caller.book, account=_account(account_id), reason=body.reason, by=caller.key_id, now=now()
            )
        if lifted is None:
            raise NeverFrozen
        return shapes.freeze_out(lifted)


def _account(text: str) -> int:
    if int(text) >= 2**63:
        raise AccountNotFound
    return int(text)


def _plain(content: shapes.Content) -> dict[str, JsonValue]:
    # Fractions stand only in what the editor adds (places on its canvas): cells are texts.
    return cast("dict[str, JsonValue]", content)
