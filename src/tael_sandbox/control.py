"""The control interface ``/_sim/``: what a test or the demo does to the channel behind the merchant's back. JSON in
and out.

    POST pay | scan | decline | expire | refund | renotify   an order, by any of its names
    GET  orders (?out_trade_no= for one) | book | deliveries | requests | merchants | faults | clock
    POST faults, DELETE faults, POST clock, POST drain, POST rotate, POST merchants, POST merchants/<mchid>
    POST handoff/jsapi | handoff/app                         what a WeChat client checks before it opens the cashier

400: not understood, 404: no such order or merchant, 409: its state does not allow that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec

from tael_sandbox.clock import Mode
from tael_sandbox.faults import Fault, Misarmed
from tael_sandbox.views import (
    BookView,
    CertificateView,
    ChangeMerchant,
    ClockView,
    DeliveriesView,
    MerchantView,
    NewMerchant,
    OrderView,
    PaidView,
    PaymentView,
    RequestsView,
    Rotate,
    SetClock,
    Touch,
)
from tael_sandbox.web import Answer, Request, as_json
from tael_sandbox.wechat import handoff, user
from tael_sandbox.wechat.create import code_url
from tael_sandbox.wechat.keys import Keyring
from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.orders import Order
from tael_sandbox.wechat.transaction import china_time
from tael_sandbox.world import ClockMoved, World

PREFIX = "/_sim/"
_T = TypeVar("_T")


class Unknown(Exception):
    """There is no such thing here."""


async def serve(world: World, request: Request) -> Answer:
    """Answer one control call, after everything it did is on disk."""
    name = request.path.removeprefix(PREFIX)
    handler = _HANDLERS.get((request.method, name.partition("/")[0]))
    if handler is None:
        return as_json({"error": "no such control"}, status=404)
    try:
        answer = await handler(world, request)
    except (msgspec.DecodeError, UnicodeDecodeError, Misarmed) as error:
        return as_json({"error": str(error)}, status=400)
    except Unknown as error:
        return as_json({"error": str(error)}, status=404)
    except (user.NotPossible, handoff.ClientRefuses) as error:
        return as_json({"error": str(error)}, status=409)
    await world.journal.settled()
    return answer


async def create_merchant(world: World, said: NewMerchant) -> Merchant:
    """Make a merchant with all keys, on disk before it returns. Raises ``NotPossible`` when the number is taken."""
    mchid = said.mchid or f"16{world.ids.digits(8, 'mchid', len(world.merchants))}"
    if not mchid.isalnum() or not mchid.isascii() or len(mchid) > 32 or world.merchants.get(mchid) is not None:
        raise user.NotPossible(f"merchant number {mchid} is taken or not usable")
    keys = await asyncio.to_thread(Keyring.generate, mchid, now_ms=world.clock.now_ms())
    merchant = Merchant(
        mchid=mchid,
        appids=said.appids or (f"wx{world.ids.hexadecimal(16, 'appid', mchid)}",),
        mode=said.mode,
        keys=keys,
        notify_by_public_key=said.notify_by_public_key,
        fee_per_10000=said.fee_per_10000,
    )
    world.merchants.save(merchant)
    return merchant


def view_merchant(world: World, merchant: Merchant) -> MerchantView:
    """A merchant with all it needs to call here."""
    keys, folder = merchant.keys, world.merchants.folder(merchant.mchid)
    certificates = tuple(
        CertificateView(one.serial, one.pem, str(folder / f"platform_certificate_{one.serial}.pem"), one.stage)
        for one in keys.certificates
    )
    return MerchantView(
        mchid=merchant.mchid,
        appid=merchant.appids[0],
        appids=merchant.appids,
        mode=merchant.mode,
        notify_by_public_key=merchant.notify_by_public_key,
        fee_per_10000=merchant.fee_per_10000,
        serial=keys.merchant_serial,
        private_key_pem=keys.merchant_key_pem,
        private_key_path=str(folder / "merchant_key.pem"),
        certificate_pem=keys.merchant_certificate_pem,
        certificate_path=str(folder / "merchant_certificate.pem"),
        apiv3_key=keys.apiv3_key,
        apiv3_key_path=str(folder / "apiv3_key"),
        public_key_id=keys.public_key_id,
        public_key_pem=keys.public_key_pem,
        public_key_path=str(folder / "platform_public_key.pem"),
        platform_certificates=certificates,
        base_url=world.base_url,
    )


def view_order(order: Order) -> OrderView:
    """An order for people and tests."""
    return OrderView(
        mchid=order.mchid,
        appid=order.terms.appid,
        out_trade_no=order.out_trade_no,
        method=order.terms.method,
        state=order.state,
        description=order.terms.description,
        attach=order.terms.attach,
        total_minor=order.terms.total_minor,
        currency=order.terms.currency,
        notify_url=order.terms.notify_url,
        created_at=china_time(order.placed_ms),
        expires_at=china_time(order.expires_ms),
        prepay_id=order.prepay_id,
        code_url=code_url(order),
        payments=tuple(
            PaymentView(
                transaction_id=paid.transaction_id,
                notice_id=paid.notice_id,
                paid_at=china_time(paid.at_ms),
                total_minor=paid.total_minor,
                payer_minor=paid.payer_minor,
                coupon_minor=paid.coupon_minor,
                fee_minor=paid.fee_minor,
                openid=paid.openid,
            )
            for paid in order.payments
        ),
    )


def find_order(world: World, touch: Touch) -> Order:
    """The order that somebody means. Raises ``Unknown``."""
    link = touch.code_url.rpartition("pr=")[2]
    if touch.mchid:
        found = world.orders.get(touch.mchid, touch.out_trade_no)
    else:
        name = touch.out_trade_no or touch.prepay_id or touch.transaction_id or link
        found = world.orders.named(name)
    order = None if found is None else world.order(found.mchid, found.out_trade_no)
    if order is None:
        raise Unknown("no such order")
    return order


async def _touch(world: World, request: Request) -> Answer:
    touch = _read(request, Touch)
    order = find_order(world, touch)
    match request.path.removeprefix(PREFIX):
        case "pay":
            user.pay(world, order, amount_minor=touch.amount_minor, coupon_minor=touch.coupon_minor, force=touch.force)
        case "scan":
            user.scan(world, order)
        case "decline":
            user.decline(world, order, state=touch.state)
        case "expire":
            user.expire(world, order)
        case "refund":
            user.refund(world, order)
        case _:
            user.renotify(world, order)
    return as_json(view_order(find_order(world, touch)))


async def _orders(world: World, request: Request) -> Answer:
    number = parse_qs(request.query).get("out_trade_no")
    if number is not None:
        return as_json([view_order(find_order(world, Touch(out_trade_no=number[-1])))])
    return as_json([view_order(order) for order in world.orders])


async def _book(world: World, request: Request) -> Answer:
    paid: dict[str, PaidView] = {}
    for order in world.orders:
        had = paid.get(order.mchid, PaidView(0, 0))
        total = sum(one.total_minor for one in order.payments)
        paid[order.mchid] = PaidView(had.count + len(order.payments), had.total_minor + total)
    balances = dict(world.book.balances)
    return as_json(BookView(balances, sum(balances.values()), paid, tuple(world.book.entries)))


async def _deliveries(world: World, request: Request) -> Answer:
    return as_json(DeliveriesView(tuple(world.witness.deliveries), tuple(world.courier.pending())))


async def _requests(world: World, request: Request) -> Answer:
    return as_json(RequestsView(dict(world.witness.counts), tuple(world.witness.calls)))


async def _merchants(world: World, request: Request) -> Answer:
    return as_json([view_merchant(world, one) for one in world.merchants.all()])


async def _post_merchants(world: World, request: Request) -> Answer:
    mchid = request.path.removeprefix(PREFIX).partition("/")[2]
    if not mchid:
        return as_json(view_merchant(world, await create_merchant(world, _read(request, NewMerchant))), status=201)
    change, merchant = _read(request, ChangeMerchant), _merchant(world, mchid)
    changed = replace(merchant, mode=change.mode or merchant.mode)
    if change.notify_by_public_key is not None:
        changed = replace(changed, notify_by_public_key=change.notify_by_public_key)
    world.merchants.save(changed)
    return as_json(view_merchant(world, changed))


async def _rotate(world: World, request: Request) -> Answer:
    said = _read(request, Rotate)
    merchant = _merchant(world, said.mchid)
    keys = merchant.keys
    if said.stage in ("add", "all"):
        keys = await asyncio.to_thread(keys.with_certificate, now_ms=world.clock.now_ms())
    if said.stage in ("switch", "all"):
        keys = keys.switched()
    if said.stage in ("retire", "all"):
        keys = keys.retired()
    world.merchants.save(replace(merchant, keys=keys))
    return as_json(view_merchant(world, _merchant(world, merchant.mchid)))


def _merchant(world: World, mchid: str) -> Merchant:
    """The named merchant; the first one when no name is given."""
    found = world.merchants.get(mchid) if mchid else next(iter(world.merchants.all()), None)
    if found is None:
        raise Unknown("no such merchant")
    return found


async def _faults(world: World, request: Request) -> Answer:
    match request.method:
        case "POST":
            world.faults.arm(_read(request, Fault))
        case "DELETE":
            world.faults.clear()
        case _:
            pass
    return as_json(world.faults.armed)


async def _clock(world: World, request: Request) -> Answer:
    if request.method == "POST":
        said = _read(request, SetClock)
        if said.advance_s:
            await world.courier.advance(said.advance_s)
        mode: Mode = said.mode or world.clock.mode
        kept_ms = 0 if said.mode == "real" else world.clock.now_ms()
        now_ms = kept_ms if said.now_ms is None else said.now_ms
        world.record(ClockMoved(mode, said.wire or world.clock.wire, now_ms))
    return as_json(ClockView(world.clock.mode, world.clock.wire, world.clock.now_ms()))


async def _drain(world: World, request: Request) -> Answer:
    await world.courier.drain()
    return await _deliveries(world, request)


async def _handoff(world: World, request: Request) -> Answer:
    if request.path.endswith("/jsapi"):
        return as_json(view_order(handoff.open_jsapi(world, _read(request, handoff.JsapiParams))))
    return as_json(view_order(handoff.open_app(world, _read(request, handoff.AppParams))))


def _read(request: Request, kind: type[_T]) -> _T:
    return msgspec.json.decode(request.body or b"{}", type=kind)


_HANDLERS: dict[tuple[str, str], Callable[[World, Request], Awaitable[Answer]]] = {
    **{("POST", name): _touch for name in ("pay", "scan", "decline", "expire", "refund", "renotify")},
    ("GET", "orders"): _orders,
    ("GET", "book"): _book,
    ("GET", "deliveries"): _deliveries,
    ("GET", "requests"): _requests,
    ("GET", "merchants"): _merchants,
    ("POST", "merchants"): _post_merchants,
    ("POST", "rotate"): _rotate,
    **{(method, "faults"): _faults for method in ("GET", "POST", "DELETE")},
    **{(method, "clock"): _clock for method in ("GET", "POST")},
    ("POST", "drain"): _drain,
    ("POST", "handoff"): _handoff,
}
