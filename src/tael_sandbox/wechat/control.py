"""WeChat Pay's controls: what a test or the demo does behind the merchant's back.

POST pay | scan | decline | expire | refund | renotify   an order, by any of its names
GET  orders (?out_trade_no= for one) | merchants | faults
POST faults, DELETE faults, POST rotate, POST merchants, POST merchants/<mchid>
POST handoff/jsapi | handoff/app                         what a WeChat client checks before it opens the cashier
...  refunds, transfers, users, funds                    see ``money_back.py``
"""

import asyncio
from dataclasses import replace

from msgspec.structs import asdict
from msgspec.structs import replace as changed

from tael_sandbox.control import Controls, NotPossible, Unknown, dispatch, read
from tael_sandbox.views import PaidView
from tael_sandbox.web import Answer, Request, as_json
from tael_sandbox.wechat import handoff, money_back, user
from tael_sandbox.wechat.create import code_url
from tael_sandbox.wechat.funds import Funded
from tael_sandbox.wechat.keys import Keyring
from tael_sandbox.wechat.merchants import About, Merchant
from tael_sandbox.wechat.orders import Order
from tael_sandbox.wechat.state import Wechat
from tael_sandbox.wechat.transaction import china_time
from tael_sandbox.wechat.views import (
    CertificateView,
    ChangeMerchant,
    MerchantView,
    NewMerchant,
    OrderView,
    PaymentView,
    Rotate,
    Touch,
)


async def serve(wechat: Wechat, name: str, request: Request) -> Answer:
    """Answer one control call. Raises ``Unknown`` and ``NotPossible``."""
    return await dispatch(wechat, _CONTROLS, name, request)


def paid(wechat: Wechat) -> dict[str, PaidView]:
    """How many payments each merchant got and what they come to."""
    paid: dict[str, PaidView] = {}
    for order in wechat.orders:
        had = paid.get(order.mchid, PaidView(0, 0))
        total = sum(one.total_minor for one in order.payments)
        paid[order.mchid] = PaidView(had.count + len(order.payments), had.total_minor + total)
    return paid


async def create_merchant(wechat: Wechat, said: NewMerchant) -> Merchant:
    """Make a merchant with all keys, on disk before it returns. Raises ``NotPossible`` when the number is taken."""
    mchid = said.mchid or f"16{wechat.ids.digits(8, 'mchid', len(wechat.merchants))}"
    if not mchid.isalnum() or not mchid.isascii() or len(mchid) > 32 or wechat.merchants.get(mchid) is not None:
        raise NotPossible(f"merchant number {mchid} is taken or not usable")
    keys = await asyncio.to_thread(Keyring.generate, mchid, now_ms=wechat.clock.now_ms())
    about = About(
        place=len(wechat.merchants),
        appids=said.appids or (f"wx{wechat.ids.hexadecimal(16, 'appid', mchid)}",),
        mode=said.mode,
        notify_by_public_key=said.notify_by_public_key,
        fee_per_10000=said.fee_per_10000,
        settles_after_s=said.settles_after_s,
    )
    merchant = Merchant(mchid, about, keys)
    wechat.merchants.save(merchant)
    wechat.record(Funded(mchid, wechat.clock.now_ms(), said.balance_minor))
    return merchant


def view_merchant(wechat: Wechat, merchant: Merchant) -> MerchantView:
    """A merchant with all it needs to call here."""
    keys, folder = merchant.keys, wechat.merchants.folder(merchant.mchid)
    certificates = tuple(
        CertificateView(one.serial, one.pem, str(folder / f"platform_certificate_{one.serial}.pem"), one.stage)
        for one in keys.certificates
    )
    return MerchantView(
        mchid=merchant.mchid,
        appid=merchant.about.appids[0],
        appids=merchant.about.appids,
        mode=merchant.about.mode,
        notify_by_public_key=merchant.about.notify_by_public_key,
        fee_per_10000=merchant.about.fee_per_10000,
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
        base_url=wechat.base_url,
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


def find_order(wechat: Wechat, touch: Touch) -> Order:
    """The order that somebody means. Raises ``Unknown``."""
    link = touch.code_url.rpartition("pr=")[2]
    if touch.mchid:
        found = wechat.orders.get(touch.mchid, touch.out_trade_no)
    else:
        name = touch.out_trade_no or touch.prepay_id or touch.transaction_id or link
        found = wechat.orders.named(name)
    order = None if found is None else wechat.order(found.mchid, found.out_trade_no)
    if order is None:
        raise Unknown("no such order")
    return order


async def _touch(wechat: Wechat, name: str, request: Request) -> Answer:
    touch = read(request, Touch)
    order = find_order(wechat, touch)
    match name:
        case "pay":
            user.pay(wechat, order, amount_minor=touch.amount_minor, coupon_minor=touch.coupon_minor, force=touch.force)
        case "scan":
            user.scan(wechat, order)
        case "decline":
            user.decline(wechat, order, state=touch.state)
        case "expire":
            user.expire(wechat, order)
        case "refund":
            user.refund(wechat, order)
        case _:
            user.renotify(wechat, order)
    return as_json(view_order(find_order(wechat, touch)))


async def _orders(wechat: Wechat, name: str, request: Request) -> Answer:
    number = request.asked.get("out_trade_no")
    if number is not None:
        return as_json([view_order(find_order(wechat, Touch(out_trade_no=number)))])
    return as_json([view_order(order) for order in wechat.orders])


async def _merchants(wechat: Wechat, name: str, request: Request) -> Answer:
    return as_json([view_merchant(wechat, one) for one in wechat.merchants.all()])


async def _post_merchants(wechat: Wechat, name: str, request: Request) -> Answer:
    mchid = name.partition("/")[2]
    if not mchid:
        return as_json(view_merchant(wechat, await create_merchant(wechat, read(request, NewMerchant))), status=201)
    change, merchant = read(request, ChangeMerchant), wechat.merchants.first_or_named(mchid)
    said = {name: value for name, value in asdict(change).items() if value is not None}
    merchant = replace(merchant, about=changed(merchant.about, **said))
    wechat.merchants.save(merchant)
    return as_json(view_merchant(wechat, merchant))


async def _rotate(wechat: Wechat, name: str, request: Request) -> Answer:
    said = read(request, Rotate)
    merchant = wechat.merchants.first_or_named(said.mchid)
    keys = merchant.keys
    if said.stage in ("add", "all"):
        keys = await asyncio.to_thread(keys.with_certificate, now_ms=wechat.clock.now_ms())
    if said.stage in ("switch", "all"):
        keys = keys.switched()
    if said.stage in ("retire", "all"):
        keys = keys.retired()
    wechat.merchants.save(replace(merchant, keys=keys))
    return as_json(view_merchant(wechat, wechat.merchants.owner(merchant.mchid)))


async def _handoff(wechat: Wechat, name: str, request: Request) -> Answer:
    if name.endswith("/jsapi"):
        return as_json(view_order(handoff.open_jsapi(wechat, read(request, handoff.JsapiParams))))
    return as_json(view_order(handoff.open_app(wechat, read(request, handoff.AppParams))))


_CONTROLS: Controls[Wechat] = {
    **{("POST", name): _touch for name in ("pay", "scan", "decline", "expire", "refund", "renotify")},
    ("GET", "orders"): _orders,
    ("GET", "merchants"): _merchants,
    ("POST", "merchants"): _post_merchants,
    ("POST", "rotate"): _rotate,
    ("POST", "handoff"): _handoff,
    **money_back.CONTROLS,
}
