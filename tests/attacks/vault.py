"""What is worth stealing: money on accounts, and one object in every state that a request could try to abuse.

wang asks, with two keys; li decides. Whatever is made here is made through the API, so that it is real.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httpx2
import msgspec

from shop import BOOK, Shop
from tael import routing
from tael.alerts import Alert, AlertKind, raise_alert
from tael.channels.accounts import AccountRow
from tael.ledger import CLOSING_DEBIT, HOLD, AccountId, BookId, Posting, posting_id, require_posted
from tael.routing import Route
from tael_sandbox import Fault

FUNDS = 1_000_000
_WITHDRAWN = ("waiting", "approved", "cancelled", "rejected", "sent")
"""One withdrawal in each state, of one member each: nobody may ask for many on one day."""
_ALERT = AlertKind("arena", "warning", "An alert of the arena", "演练告警")


@dataclass(frozen=True, slots=True)
class _Hands:
    """Who makes the objects."""

    shop: Shop
    keys: Mapping[str, str]

    async def do(self, who: str, method: str, path: str, /, **body: object) -> dict[str, str]:
        """A request that must be accepted; answers its document."""
        answer = await self.ask(who, method, path, **body)
        assert answer.status_code in {200, 201}, (path, answer.text)
        return answer.json()

    async def ask(self, who: str, method: str, path: str, /, **body: object) -> httpx2.Response:
        """Any request."""
        headers = {
            "Authorization": f"Bearer {self.keys[who]}", "Content-Type": "application/json",
            "Idempotency-Key": f"stock-{self.shop.system.ids.next()}",
        }  # fmt: skip
        return await self.shop.http.request(method, path, content=msgspec.json.encode(body), headers=headers)


async def stock(shop: Shop, keys: Mapping[str, str]) -> dict[str, str]:
    """Make everything; answers ids by the names that the tables use."""
    hands = _Hands(shop, keys)
    await _routes(shop)
    found = {"merchant": str(shop.merchant_account), "alipay": str(await _alipay(shop))}
    for parts in (_accounts, _payments, _withdrawals, _adjustments, _rest):
        found |= await parts(hands, found)
    return found


async def _routes(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        route = Route(BOOK, "payout", shop.merchant_account, "CNY", "wechat", "sandbox", 0)
        await routing.put_route(tx, route, now=shop.clock.now())


async def _alipay(shop: Shop) -> int:
    merchant, platform = shop.sim.alipay.merchant, shop.system.platform
    row = AccountRow(
        book=BOOK, id=platform.ids.next(), name="alipay", channel="alipay", mode="test", state="active",
        mchid=merchant.seller_id, appid=merchant.app_id, base_url=shop.sim.base_url, config={"mode": "certificate"},
        secret_refs={
            "app_private_key": f"file:{merchant.private_key_path}",
            "app_cert": f"file:{merchant.app_certificate_path}",
            "alipay_cert": f"file:{merchant.alipay_certificate_path}",
            "alipay_root_cert": f"file:{merchant.alipay_root_path}",
        },
        qps={}, changed_at=shop.clock.now(),
    )  # fmt: skip
    async with shop.db.transaction() as tx:
        await platform.accounts.add(tx, row)
    assert await platform.accounts.refresh(shop.db) == []
    return row.id


async def _accounts(hands: _Hands, known: Mapping[str, str]) -> dict[str, str]:
    """Accounts of 2001 (rich, gift, dollars), 2002 (other), 2003 (frozen), 2004 (closed), and one of the company."""
    del known
    opened = {
        name: (await hands.do("full", "POST", "/v1/accounts", owner=owner, currency=currency, purpose=purpose))["id"]
        for name, owner, currency, purpose in [
            ("rich", "2001", "CNY", "balance"), ("gift", "2001", "CNY", "spend_only"),
            ("dollars", "2001", "USD", "balance"), ("other", "2002", "CNY", "balance"),
            ("frozen", "2003", "CNY", "balance"), ("closed", "2004", "CNY", "balance"),
            *((f"drawer_{name}", f"210{place}", "CNY", "balance") for place, name in enumerate(_WITHDRAWN)),
        ]
    }  # fmt: skip
    platform, now = hands.shop.system.platform, hands.shop.clock.now()
    async with hands.shop.db.transaction() as tx:
        merchant = platform.accounts.get(book=BOOK, id=hands.shop.merchant_account)
        company = await platform.chart.receivable(tx, merchant, "CNY", now=now)
        funds = [
            Posting(
                book=BookId(BOOK), id=posting_id("arena", name), debit=company, credit=AccountId(int(opened[name])),
                amount=FUNDS, currency="CNY", code=1,
            ) for name in ("rich", "gift", "other", "frozen", *(f"drawer_{name}" for name in _WITHDRAWN))
        ]  # fmt: skip
        closing = Posting(
            book=BookId(BOOK), id=posting_id("arena", "close"), debit=AccountId(int(opened["closed"])), credit=company,
            amount=0, currency="CNY", code=9, flags=HOLD | CLOSING_DEBIT,
        )  # fmt: skip
        require_posted(await platform.ledger.post(tx, [*funds, closing], now=now))
    await hands.do("full", "POST", f"/v1/risk/accounts/{opened['frozen']}/freeze", reason="the arena")
    return opened | {"company": str(company)}


async def _payments(hands: _Hands, known: Mapping[str, str]) -> dict[str, str]:
    """Payments of 1.00: paid and open with something to make, closed, refunded whole, refunded 0.60; that refund."""
    found: dict[str, str] = {}
    for name in ("paid", "open", "shut", "refunded", "partly"):
        more = {"fulfilment": {"within_s": 60}} if name in {"open", "paid"} else {}
        order = await hands.do(
            "full", "POST", "/v1/payments", account_id=known["other"], amount=100, currency="CNY", channel="wechat",
            method="native", description="goods", business_order_no=f"goods-{name}", **more,
        )  # fmt: skip
        found[name] = order["order_no"]
        attempts = cast("list[dict[str, str]]", cast("object", order["attempts"]))
        if name in {"paid", "refunded", "partly"}:
            await hands.shop.sim.pay(attempts[0]["attempt_no"])
            await hands.shop.sim.drain()
    await hands.do("full", "POST", f"/v1/payments/{found['shut']}/close")
    for name, amount in (("refunded", 100), ("partly", 60)):
        refund = await hands.do(
            "full", "POST", "/v1/refunds", payment_no=found[name], business_refund_no=f"back-{name}", amount=amount,
            currency="CNY", reason="broken",
        )  # fmt: skip
        found["refund"] = refund["refund_no"]
    return found


async def _withdrawals(hands: _Hands, known: Mapping[str, str]) -> dict[str, str]:
    """Payees of 2001 (payee, unbound), 2002 and the other company; withdrawals in every state."""
    app = hands.shop.sim.merchant.appid
    payees = {
        name: (await hands.do(who, "POST", "/v1/payees", owner=owner, kind="wechat_user", number=number, app_id=app))
        for name, who, owner, number in [
            ("payee", "full", "2001", "oArena1"), ("unbound", "full", "2001", "oArena2"),
            ("others_payee", "full", "2002", "oArena3"), ("foreign_payee", "foreign", "2001", "oArena4"),
            ("frozen_payee", "full", "2003", "oArena5"),
            *((f"payee_{name}", "full", f"210{place}", f"oArena1{place}") for place, name in enumerate(_WITHDRAWN)),
        ]
    }  # fmt: skip
    found = {name: payee["id"] for name, payee in payees.items()}
    assert (await hands.ask("full", "DELETE", f"/v1/payees/{found['unbound']}")).status_code == 200
    for name in _WITHDRAWN:
        order = await hands.do(
            "wang", "POST", "/v1/withdrawals", account_id=known[f"drawer_{name}"], payee_id=found[f"payee_{name}"],
            amount=500, currency="CNY", description=name,
        )  # fmt: skip
        path = f"/v1/withdrawals/{order['order_no']}"
        found[name] = order["order_no"]
        match name:
            case "sent":  # the channel has it, and we cannot tell what it does with it
                await hands.do("li", "POST", f"{path}/approve")
                await hands.shop.sim.fault(Fault(operation="transfer", kind="commit_then_drop_reply"))
                await hands.shop.system.payer.run_due()
            case "rejected":
                await hands.do("li", "POST", f"{path}/reject", note="no")
            case "cancelled":
                assert (await hands.ask("wang", "POST", f"{path}/cancel")).status_code == 200
            case _:
                pass
    await hands.do("li", "POST", f"/v1/withdrawals/{found['approved']}/approve")
    async with hands.shop.db.transaction() as tx:
        subject = found["waiting"]
        id = await tx.fetchval("select id from approval where book = $1 and subject = $2", BOOK, subject)
    return found | {"approval": str(id)}


async def _adjustments(hands: _Hands, known: Mapping[str, str]) -> dict[str, str]:
    """Adjustments that wait, were posted, rejected, taken back."""
    found: dict[str, str] = {}
    for name, verb in [("proposed", ""), ("posted", "approve"), ("refused", "reject"), ("withdrawn", "cancel")]:
        legs = [{"debit": known["rich"], "credit": known["company"], "amount": 100}]
        made = await hands.do("wang", "POST", "/v1/adjustments", reason=name, currency="CNY", legs=legs)
        found[name] = made["adjustment_no"]
        if verb:
            who = "wang" if verb == "cancel" else "li"
            answer = await hands.ask(who, "POST", f"/v1/adjustments/{found[name]}/{verb}")
            assert answer.status_code == 200, answer.text
    return found


async def _rest(hands: _Hands, known: Mapping[str, str]) -> dict[str, str]:
    """A transfer, a batch, holds of both states, an alert."""
    move = {"from_account_id": known["rich"], "to_account_id": known["other"], "amount": 100, "currency": "CNY"}
    transfer = await hands.do("full", "POST", "/v1/transfers", **move, business_transfer_no="moved")
    batch = await hands.do("full", "POST", "/v1/transfer_batches", atomic=True, transfers=[move])
    holds = [
        (await hands.do(
            "full", "POST", "/v1/holds", account_id=known["rich"], amount=100, currency="CNY", reason="kept"))["id"]
        for _ in range(2)
    ]  # fmt: skip
    await hands.do("full", "POST", "/v1/transfers", **move, from_hold=holds[1])
    now, ids = hands.shop.clock.now(), hands.shop.system.ids
    async with hands.shop.db.transaction() as tx:
        await raise_alert(tx, [Alert(BOOK, _ALERT, "arena")], ids=ids, now=now)
        alert = await tx.fetchval("select id from alert where book = $1 and subject = 'arena'", BOOK)
    return {
        "transfer": transfer["order_no"], "batch": batch["batch_no"], "hold": holds[0], "used_hold": holds[1],
        "alert": str(alert),
    }  # fmt: skip
