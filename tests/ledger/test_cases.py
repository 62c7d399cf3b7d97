"""Every case of ledger_cases.json through the public interface, on PostgreSQL and in memory.

The cases are facts observed on a live TigerBeetle server (see their `provenance`); the table below translates its
result names into ours, and `_flags` its flags.
"""

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from tael.base.db import Database
from tael.ledger import (
    BALANCING_CREDIT,
    BALANCING_DEBIT,
    CLOSING_CREDIT,
    CLOSING_DEBIT,
    HOLD,
    LINKED,
    RELEASE,
    SETTLE,
    AccountId,
    BookId,
    NewAccount,
    Posting,
    posting_id,
)
from tael.ledger.records import LAST_ACCOUNT, LAST_ID, MAX, NIL_ID, NO_ACCOUNT

from .conftest import START, in_memory, on_postgres

CASES = json.loads(Path(__file__).with_name("ledger_cases.json").read_text("utf-8"))["cases"]
KINDS = {"single": 0, "pending": HOLD, "post": SETTLE, "void": RELEASE, "post+void": SETTLE | RELEASE}
FLAGS = {
    "linked": LINKED, "pending": HOLD, "balancing_debit": BALANCING_DEBIT, "balancing_credit": BALANCING_CREDIT,
    "closing_debit": CLOSING_DEBIT, "closing_credit": CLOSING_CREDIT,
}  # fmt: skip
LIMITS = {None: 0, "dr<=cr": 1, "cr<=dr": 2, "both": 3}
CURRENCIES = {0: "", 1: "CNY", 2: "USD", 9: "EUR"}
OURS = {
    "created": "posted",
    "exists": "exists",
    "linked_event_chain_open": "linked_group_open",
    "linked_event_failed": "linked_posting_refused",
    "id_must_not_be_zero": "id_must_not_be_zero",
    "id_must_not_be_int_max": "id_must_not_be_max",
    "id_already_failed": "id_already_refused",
    "exists_with_different_flags": "exists_with_different_flags",
    "exists_with_different_debit_account_id": "exists_with_different_debit_account",
    "exists_with_different_credit_account_id": "exists_with_different_credit_account",
    "exists_with_different_amount": "exists_with_different_amount",
    "exists_with_different_user_data_128": "exists_with_different_order_no",
    "exists_with_different_ledger": "exists_with_different_currency",
    "exists_with_different_code": "exists_with_different_code",
    "flags_are_mutually_exclusive": "flags_are_mutually_exclusive",
    "credit_account_id_must_not_be_zero": "credit_account_must_not_be_zero",
    "credit_account_id_must_not_be_int_max": "credit_account_must_not_be_max",
    "accounts_must_be_different": "accounts_must_be_different",
    "pending_id_must_not_be_zero": "reference_must_not_be_zero",
    "pending_id_must_not_be_int_max": "reference_must_not_be_max",
    "pending_id_must_be_different": "reference_must_be_different",
    "timeout_reserved_for_pending_transfer": "timeout_reserved_for_hold",
    "closing_transfer_must_be_pending": "closing_must_be_hold",
    "ledger_must_not_be_zero": "currency_must_be_set",
    "code_must_not_be_zero": "code_must_be_set",
    "debit_account_not_found": "debit_account_not_found",
    "credit_account_not_found": "credit_account_not_found",
    "accounts_must_have_the_same_ledger": "accounts_must_have_the_same_currency",
    "transfer_must_have_the_same_ledger_as_accounts": "currency_must_be_the_accounts",
    "debit_account_already_closed": "debit_account_closed",
    "credit_account_already_closed": "credit_account_closed",
    "pending_transfer_not_pending": "not_a_hold",
    "pending_transfer_has_different_debit_account_id": "hold_has_different_debit_account",
    "pending_transfer_has_different_credit_account_id": "hold_has_different_credit_account",
    "pending_transfer_has_different_ledger": "hold_has_different_currency",
    "pending_transfer_has_different_code": "hold_has_different_code",
    "exceeds_pending_transfer_amount": "exceeds_hold_amount",
    "pending_transfer_has_different_amount": "hold_has_different_amount",
    "pending_transfer_already_posted": "hold_already_settled",
    "pending_transfer_already_voided": "hold_already_released",
    "pending_transfer_expired": "hold_expired",
    "overflows_debits_pending": "overflows_debits_held",
    "overflows_credits_pending": "overflows_credits_held",
    "overflows_debits_posted": "overflows_debits_posted",
    "overflows_debits": "overflows_debits",
    "overflows_credits": "overflows_credits",
    "exceeds_credits": "exceeds_credits",
    "exceeds_debits": "exceeds_debits",
}
ACCOUNTS = {
    "created": "opened",
    "exists": "exists",
    "exists_with_different_code": "exists_with_different_subject",
    "exists_with_different_ledger": "exists_with_different_currency",
    "exists_with_different_flags": "exists_with_different_limits",
    "flags_are_mutually_exclusive": "limits_are_mutually_exclusive",
    "id_must_not_be_zero": "id_must_not_be_zero",
    "id_must_not_be_int_max": "id_must_not_be_max",
    "ledger_must_not_be_zero": "currency_must_be_set",
    "code_must_not_be_zero": "subject_must_be_set",
}


def test_all_cases_are_here() -> None:
    assert len(CASES) == 91
    assert len({case["name"] for case in CASES}) == 91


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_case_in_memory(case: dict) -> None:
    await _Runner(in_memory(), case, BookId(1)).run()


@pytest.mark.parametrize(("book", "case"), list(enumerate(CASES, 1)), ids=[case["name"] for case in CASES])
async def test_case_on_postgres(shared_db: Database, book: int, case: dict) -> None:
    await _Runner(on_postgres(shared_db), case, BookId(book)).run()


class _Runner:
    """One case being played on one engine."""

    def __init__(self, engine: SimpleNamespace, case: dict, book: BookId) -> None:
        self.engine, self.case, self.book = engine, case, book
        self.now = START
        self.numbers = {"zero": NO_ACCOUNT, "max": LAST_ACCOUNT}

    async def run(self) -> None:
        async with self.engine.transaction() as tx:
            await self.engine.open_book(tx, self.book, name="case", now=self.now)
        await self.open_accounts()
        for name, columns in self.case.get("initial_balances", {}).items():
            await self.load(name, columns)
        for step in self.case["steps"]:
            await self.step(step)
        await self.expect_balances(self.case["final_balances"])

    async def open_accounts(self) -> None:
        for account in self.case["accounts"]:
            new = self.account(account["id"], account["ledger"], account["code"], account.get("limit"))
            async with self.engine.transaction() as tx:
                (outcome,) = await self.engine.open_accounts(tx, [new], now=self.now)
            assert outcome == ACCOUNTS[account["expect"]], account

    def account(self, name: str, ledger: int, code: int, limit: str | None) -> NewAccount:
        subject = str(code) if code else ""
        currency = CURRENCIES[ledger]
        return NewAccount(
            book=self.book, id=self.number(name), subject=subject, currency=currency, limits=LIMITS[limit]
        )

    def number(self, name: str | None) -> AccountId:
        if name is None:
            return NO_ACCOUNT
        return AccountId(self.numbers.setdefault(name, 1_000 + len(self.numbers)))

    async def load(self, name: str, columns: dict) -> None:
        """Set an account's four columns by postings against a hidden account without a limit."""
        account = next(account for account in self.case["accounts"] if account["id"] == name)
        hidden = f"hidden-{name}"
        async with self.engine.transaction() as tx:
            await self.engine.open_accounts(tx, [self.account(hidden, account["ledger"], 1, None)], now=self.now)
        order = ["credits_posted", "debits_posted", "credits_pending", "debits_pending"]
        if account.get("limit") == "cr<=dr":
            order = ["debits_posted", "credits_posted", "debits_pending", "credits_pending"]
        for column in order:
            if columns[column]:
                side, way = column.split("_")
                debit, credit = (name, hidden) if side == "debits" else (hidden, name)
                transfer = {
                    "id": f"{name}-{column}", "kind": "single" if way == "posted" else "pending", "debit": debit,
                    "credit": credit, "amount": columns[column], "ledger": account["ledger"], "code": 1,
                    "expect": "created",
                }  # fmt: skip
                await self.batch([transfer])

    async def step(self, step: dict) -> None:
        if "batch" in step:
            await self.batch(step["batch"])
        elif "wait_seconds" in step:
            await self.wait(step["wait_seconds"])
        elif "balances" in step:
            await self.expect_balances(step["balances"])
        elif "transfers_recorded" in step:
            await self.expect_recorded(step["transfers_recorded"])
        elif "statement" in step:
            await self.expect_statement(step["statement"], step["expect"])
        else:
            await self.expect_history(step)

    async def batch(self, transfers: list[dict]) -> None:
        postings = [self.posting(transfer) for transfer in transfers]
        async with self.engine.transaction() as tx:
            results = await self.engine.post(tx, postings, now=self.now)
        assert [str(result.outcome) for result in results] == [OURS[transfer["expect"]] for transfer in transfers]

    def posting(self, transfer: dict) -> Posting:
        flags = KINDS[transfer["kind"]]
        for flag in transfer.get("flags", ()):
            flags |= FLAGS[flag]
        data = transfer.get("user_data")
        return Posting(
            book=self.book, id=identity(transfer["id"]), debit=self.number(transfer.get("debit")),
            credit=self.number(transfer.get("credit")),
            amount=None if transfer["amount"] == "all" else number(transfer["amount"]),
            currency=CURRENCIES[transfer.get("ledger", 0)], code=transfer.get("code", 0), flags=flags,
            reference=identity(transfer["pending_id"]) if "pending_id" in transfer else None,
            timeout_s=transfer.get("timeout_seconds", 0), order_no=None if data is None else str(data),
        )  # fmt: skip

    async def wait(self, seconds: int) -> None:
        """Time passes, and the periodic job runs; that the next posting alone would do is test_expiry's."""
        self.now += timedelta(seconds=seconds)
        async with self.engine.transaction() as tx:
            await self.engine.expire_due(tx, self.book, now=self.now, limit=500)

    async def expect_balances(self, expected: dict) -> None:
        for name, columns in expected.items():
            async with self.engine.transaction() as tx:
                balance = await self.engine.balance(tx, self.book, self.number(name))
            assert sums(balance) == wanted(columns), name
            assert balance.closed == columns["closed"], name

    async def expect_recorded(self, expected: dict) -> None:
        async with self.engine.transaction() as tx:
            found = await self.engine.find(tx, self.book, [identity(name) for name in expected])
        recorded = {name: found[identity(name)].amount if identity(name) in found else None for name in expected}
        assert recorded == expected

    async def expect_statement(self, asked: dict, expected: list[str]) -> None:
        side = {"both": "both", "debits": "debit", "credits": "credit"}[asked["side"]]
        async with self.engine.transaction() as tx:
            entries = await self.engine.statement(
                tx, self.book, self.number(asked["account"]), side=side, code=asked["code"],
                newest_first=asked["reversed"], limit=asked["limit"],
            )  # fmt: skip
        assert [entry.id for entry in entries] == [identity(name) for name in expected]

    async def expect_history(self, step: dict) -> None:
        last_only = "history_last" in step
        history = step["history_last" if last_only else "history"]
        async with self.engine.transaction() as tx:
            entries = await self.engine.statement(tx, self.book, self.number(history["account"]))
        expected = [(identity(entry["transfer"]), wanted(entry)) for entry in history["entries"]]
        found = [(entry.id, sums(entry.closing)) for entry in entries]
        assert (found[-1:] if last_only else found) == expected


def number(amount: int | str) -> int:
    """`MAX` is the largest amount the ledger can hold, `MAX-5` five less."""
    if isinstance(amount, int):
        return amount
    return MAX - int(amount.partition("-")[2] or 0)


def identity(name: str) -> UUID:
    return {"zero": NIL_ID, "max": LAST_ID}.get(name) or posting_id("case", name)


def sums(balance: object) -> tuple[int, ...]:
    return tuple(
        getattr(balance, column) for column in ("debits_held", "debits_posted", "credits_held", "credits_posted")
    )


def wanted(columns: dict) -> tuple[int, ...]:
    names = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")
    return tuple(number(columns[name]) for name in names)
