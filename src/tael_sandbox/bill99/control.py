"""99bill's controls: what a test or the demo does behind the member's back.

POST settle | fail | return                    an order, by either of its names
GET  orders (?name= for one) | merchants | faults
POST merchants, POST merchants/<member code>, POST top_up, POST faults, DELETE faults
"""

import asyncio
from dataclasses import replace

from msgspec.structs import replace as changed

from tael_sandbox.bill99.merchants import About, Merchant, new_merchant
from tael_sandbox.bill99.orders import Order, Status
from tael_sandbox.bill99.pay import move
from tael_sandbox.bill99.state import Bill99, ToppedUp
from tael_sandbox.bill99.views import (
    Bill99MerchantView,
    Bill99OrderView,
    ChangeBill99Merchant,
    NewBill99Merchant,
    TopUpMember,
    TouchOrder,
)
from tael_sandbox.china_time import china_time
from tael_sandbox.control import Controls, NotPossible, Unknown, dispatch, read
from tael_sandbox.keyfiles import private_pem
from tael_sandbox.web import Answer, Request, as_json

_STEPS: dict[str, Status] = {"settle": "111", "fail": "112", "return": "114"}


async def serve(bill99: Bill99, name: str, request: Request) -> Answer:
    """Answer one control call. Raises ``Unknown`` and ``NotPossible``."""
    return await dispatch(bill99, _CONTROLS, name, request)


async def create_merchant(bill99: Bill99, said: NewBill99Merchant) -> Merchant:
    """Make a member with all keys, on disk before it returns. Raises ``NotPossible`` when the code is taken."""
    place = len(bill99.merchants)
    member_code = said.member_code or f"100{bill99.ids.digits(8, 'bill99 member', place)}"
    if not member_code.isdecimal() or len(member_code) > 32 or bill99.merchants.get(member_code) is not None:
        raise NotPossible(f"member code {member_code} is taken or not usable")
    now_ms = bill99.clock.now_ms()
    made = await asyncio.to_thread(new_merchant, member_code, About(place, said.settle_s), now_ms=now_ms)
    bill99.merchants.save(made)
    if said.balance_minor:
        bill99.record(ToppedUp(member_code, now_ms, said.balance_minor))
        await bill99.journal.settled()
    return made


def view_merchant(bill99: Bill99, merchant: Merchant) -> Bill99MerchantView:
    """A member with all it needs to call here."""
    folder = bill99.merchants.folder(merchant.member_code)
    return Bill99MerchantView(
        member_code=merchant.member_code,
        base_url=bill99.base_url,
        settle_s=merchant.about.settle_s,
        balance_minor=bill99.balance_minor(merchant),
        private_key_pem=private_pem(merchant.member_key),
        private_key_path=str(folder / "member_key.pem"),
        certificate_pem=merchant.member_certificate,
        certificate_path=str(folder / "member_certificate.pem"),
        bill99_certificate_pem=merchant.bill99_certificate,
        bill99_certificate_path=str(folder / "bill99_certificate.pem"),
    )


def view_order(order: Order) -> Bill99OrderView:
    """An order for people and tests."""
    return Bill99OrderView(
        member_code=order.member_code,
        order_id=order.order_id,
        order_seq_id=order.order_seq_id,
        status=order.status,
        amount_minor=order.content.amount_minor,
        bank_name=order.content.bank_name,
        bank_acct_id=order.content.bank_acct_id,
        credit_name=order.content.credit_name,
        remark=order.content.remark,
        accepted_at=china_time(order.accepted_ms),
        moved_at=china_time(order.moved_ms),
        code=order.code,
    )


def _find(bill99: Bill99, name: str, *, member_code: str = "") -> Order:
    """The order that somebody means, as it stands now. Raises ``Unknown``."""
    found = bill99.orders.get(member_code, name) if member_code else bill99.orders.named(name)
    order = None if found is None else bill99.order(found.member_code, found.order_id)
    if order is None:
        raise Unknown("no such order")
    return order


async def _step(bill99: Bill99, name: str, request: Request) -> Answer:
    touch = read(request, TouchOrder)
    found = _find(bill99, touch.name, member_code=touch.member_code)
    move(bill99, found, _STEPS[name], code=touch.code)
    return as_json(view_order(_find(bill99, found.order_id, member_code=found.member_code)))


async def _orders(bill99: Bill99, name: str, request: Request) -> Answer:
    wanted = request.asked.get("name")
    if wanted is not None:
        return as_json([view_order(_find(bill99, wanted))])
    now = [_find(bill99, one.order_id, member_code=one.member_code) for one in list(bill99.orders)]
    return as_json([view_order(one) for one in now])


async def _merchants(bill99: Bill99, name: str, request: Request) -> Answer:
    return as_json([view_merchant(bill99, one) for one in bill99.merchants.all()])


async def _post_merchants(bill99: Bill99, name: str, request: Request) -> Answer:
    member_code = name.partition("/")[2]
    if not member_code:
        made = await create_merchant(bill99, read(request, NewBill99Merchant))
        return as_json(view_merchant(bill99, made), status=201)
    merchant, change = bill99.merchants.first_or_named(member_code), read(request, ChangeBill99Merchant)
    merchant = replace(merchant, about=changed(merchant.about, settle_s=change.settle_s))
    bill99.merchants.save(merchant)
    return as_json(view_merchant(bill99, merchant))


async def _top_up(bill99: Bill99, name: str, request: Request) -> Answer:
    said = read(request, TopUpMember)
    merchant = bill99.merchants.first_or_named(said.member_code)
    if said.amount_minor < 1:
        raise NotPossible("the amount must be positive")
    bill99.record(ToppedUp(merchant.member_code, bill99.clock.now_ms(), said.amount_minor))
    return as_json(view_merchant(bill99, merchant))


_CONTROLS: Controls[Bill99] = {
    **{("POST", name): _step for name in _STEPS},
    ("GET", "orders"): _orders,
    ("GET", "merchants"): _merchants,
    ("POST", "merchants"): _post_merchants,
    ("POST", "top_up"): _top_up,
}
