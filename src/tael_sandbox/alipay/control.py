"""Alipay's controls: what a test or the demo does behind the merchant's back.

POST scan | pay | decline | expire | finish | refund | renotify      a trade, by any of its names
POST settle | fail | close | return                                  a transfer, by any of its names
GET  trades | transfers (?name= for one) | merchants | faults
POST merchants, POST merchants/<app_id>, POST rotate, POST top_up, POST faults, DELETE faults
"""

import asyncio
from dataclasses import replace

from msgspec.structs import replace as changed

from tael_sandbox.alipay import transfer, user
from tael_sandbox.alipay.keys import Keyring
from tael_sandbox.alipay.merchants import About, Merchant
from tael_sandbox.alipay.state import Alipay, ToppedUp
from tael_sandbox.alipay.trades import Trade
from tael_sandbox.alipay.transfers import Status, Transfer
from tael_sandbox.alipay.views import (
    AlipayMerchantView,
    AlipayPaymentView,
    AlipayRefundView,
    ChangeAlipayMerchant,
    NewAlipayMerchant,
    TopUp,
    TouchTrade,
    TouchTransfer,
    TradeView,
    TransferView,
)
from tael_sandbox.china_time import china_time
from tael_sandbox.control import Controls, NotPossible, Unknown, dispatch, read
from tael_sandbox.views import PaidView
from tael_sandbox.web import Answer, Request, as_json

_STEPS: dict[str, Status] = {"settle": "SUCCESS", "fail": "FAIL", "close": "CLOSED", "return": "REFUND"}


async def serve(alipay: Alipay, name: str, request: Request) -> Answer:
    """Answer one control call. Raises ``Unknown`` and ``NotPossible``."""
    return await dispatch(alipay, _CONTROLS, name, request)


def paid(alipay: Alipay) -> dict[str, PaidView]:
    """How many payments each merchant got and what they come to."""
    sums: dict[str, PaidView] = {}
    for trade in alipay.trades:
        had = sums.get(trade.app_id, PaidView(0, 0))
        sums[trade.app_id] = PaidView(had.count + len(trade.payments), had.total_minor + trade.paid_minor)
    return sums


async def create_merchant(alipay: Alipay, said: NewAlipayMerchant) -> Merchant:
    """Make a merchant with all keys, on disk before it returns. Raises ``NotPossible`` when the app id is taken."""
    place = len(alipay.merchants)
    app_id = said.app_id or f"2021{alipay.ids.digits(12, 'alipay app', place)}"
    if not app_id.isalnum() or not app_id.isascii() or len(app_id) > 32 or alipay.merchants.get(app_id) is not None:
        raise NotPossible(f"app id {app_id} is taken or not usable")
    now_ms = alipay.clock.now_ms()
    keys = await asyncio.to_thread(Keyring.generate, app_id, now_ms=now_ms)
    about = About(
        place=place,
        seller_id=f"2088{alipay.ids.digits(12, 'alipay seller', app_id)}",
        mode=said.mode,
        gateway_url=said.gateway_url,
        fee_per_10000=said.fee_per_10000,
        limits=said.limits,
    )
    alipay.merchants.save(Merchant(app_id, about, keys))
    if said.balance_minor:
        alipay.record(ToppedUp(app_id, now_ms, said.balance_minor))
        await alipay.journal.settled()
    return alipay.merchants.owner(app_id)


def view_merchant(alipay: Alipay, merchant: Merchant) -> AlipayMerchantView:
    """A merchant with all it needs to call here."""
    keys, folder = merchant.keys, alipay.merchants.folder(merchant.app_id)
    return AlipayMerchantView(
        app_id=merchant.app_id,
        seller_id=merchant.about.seller_id,
        mode=merchant.about.mode,
        gateway=f"{alipay.base_url}/gateway.do",
        gateway_url=merchant.about.gateway_url,
        fee_per_10000=merchant.about.fee_per_10000,
        limits=merchant.about.limits,
        balance_minor=alipay.balance_minor(merchant),
        private_key_pem=keys.app_key_pem,
        private_key_path=str(folder / "app_key.pem"),
        app_certificate_pem=keys.app_certificate_pem,
        app_certificate_path=str(folder / "app_certificate.pem"),
        app_cert_sn=keys.app_sn,
        alipay_public_key_pem=keys.signing.public_key_pem,
        alipay_public_key_path=str(folder / "alipay_public_key.pem"),
        alipay_certificate_pem=keys.signing.certificate_pem,
        alipay_certificate_path=str(folder / "alipay_certificate.pem"),
        alipay_cert_sn=keys.signing.sn,
        alipay_root_pem=keys.root_pem,
        alipay_root_path=str(folder / "alipay_root.pem"),
        alipay_root_cert_sn=keys.root_sn,
    )


def view_trade(trade: Trade) -> TradeView:
    """A trade for people and tests."""
    return TradeView(
        app_id=trade.app_id,
        out_trade_no=trade.out_trade_no,
        kind=trade.terms.kind,
        state=trade.state,
        subject=trade.terms.subject,
        total_minor=trade.terms.total_minor,
        notify_url=trade.terms.notify_url,
        return_url=trade.terms.return_url,
        created_at=china_time(trade.placed_ms),
        expires_at=china_time(trade.expires_ms),
        link=trade.link,
        trade_no=trade.trade_no,
        buyer_id=trade.buyer_id,
        payments=tuple(
            AlipayPaymentView(one.notify_id, china_time(one.at_ms), one.total_minor, one.fee_minor)
            for one in trade.payments
        ),
        refunds=tuple(
            AlipayRefundView(one.out_request_no, china_time(one.at_ms), one.amount_minor, one.notify_id)
            for one in trade.refunds
        ),
    )


def view_transfer(one: Transfer) -> TransferView:
    """A transfer for people and tests."""
    return TransferView(
        app_id=one.app_id,
        out_biz_no=one.out_biz_no,
        order_id=one.order_id,
        fund_order_id=one.fund_order_id,
        status=one.status,
        amount_minor=one.content.amount_minor,
        identity=one.content.identity,
        identity_type=one.content.identity_type,
        name=one.content.name,
        title=one.content.title,
        sent_at=china_time(one.sent_ms),
        moved_at=china_time(one.moved_ms),
        reason=one.reason,
    )


def find_trade(alipay: Alipay, name: str, *, app_id: str = "") -> Trade:
    """The trade that somebody means, as it stands now. Raises ``Unknown``."""
    link = name.rpartition("/")[2]
    found = alipay.trades.get(app_id, name) if app_id else alipay.trades.named(link)
    trade = None if found is None else alipay.trade(found.app_id, found.out_trade_no)
    if trade is None:
        raise Unknown("no such trade")
    return trade


def _find_transfer(alipay: Alipay, name: str, *, app_id: str = "") -> Transfer:
    found = alipay.transfers.get(app_id, name) if app_id else alipay.transfers.named(name)
    if found is None:
        raise Unknown("no such transfer")
    return found


async def _touch(alipay: Alipay, name: str, request: Request) -> Answer:
    touch = read(request, TouchTrade)
    trade = find_trade(alipay, touch.name, app_id=touch.app_id)
    match name:
        case "scan":
            user.scan(alipay, trade)
        case "pay":
            user.pay(alipay, trade, amount_minor=touch.amount_minor, force=touch.force)
        case "decline":
            user.decline(trade)
        case "expire":
            user.expire(alipay, trade)
        case "finish":
            user.finish(alipay, trade)
        case "refund":
            user.refund(alipay, trade, amount_minor=touch.amount_minor)
        case _:
            user.renotify(alipay, trade)
    return as_json(view_trade(find_trade(alipay, trade.out_trade_no, app_id=trade.app_id)))


async def _step(alipay: Alipay, name: str, request: Request) -> Answer:
    touch = read(request, TouchTransfer)
    found = _find_transfer(alipay, touch.name, app_id=touch.app_id)
    transfer.move(alipay, found, _STEPS[name], reason=touch.reason)
    return as_json(view_transfer(_find_transfer(alipay, found.out_biz_no, app_id=found.app_id)))


async def _trades(alipay: Alipay, name: str, request: Request) -> Answer:
    wanted = request.asked.get("name")
    if wanted is not None:
        return as_json([view_trade(find_trade(alipay, wanted))])
    return as_json([view_trade(trade) for trade in alipay.trades])


async def _transfers(alipay: Alipay, name: str, request: Request) -> Answer:
    wanted = request.asked.get("name")
    if wanted is not None:
        return as_json([view_transfer(_find_transfer(alipay, wanted))])
    return as_json([view_transfer(one) for one in alipay.transfers])


async def _merchants(alipay: Alipay, name: str, request: Request) -> Answer:
    return as_json([view_merchant(alipay, one) for one in alipay.merchants.all()])


async def _post_merchants(alipay: Alipay, name: str, request: Request) -> Answer:
    app_id = name.partition("/")[2]
    if not app_id:
        return as_json(
            view_merchant(alipay, await create_merchant(alipay, read(request, NewAlipayMerchant))), status=201
        )
    change, merchant = read(request, ChangeAlipayMerchant), alipay.merchants.first_or_named(app_id)
    about = changed(
        merchant.about,
        mode=change.mode or merchant.about.mode,
        gateway_url=merchant.about.gateway_url if change.gateway_url is None else change.gateway_url,
        limits=change.limits or merchant.about.limits,
    )
    alipay.merchants.save(replace(merchant, about=about))
    return as_json(view_merchant(alipay, alipay.merchants.owner(app_id)))


async def _rotate(alipay: Alipay, name: str, request: Request) -> Answer:
    merchant = alipay.merchants.first_or_named(read(request, dict[str, str]).get("app_id", ""))
    keys = await asyncio.to_thread(merchant.keys.rotated, now_ms=alipay.clock.now_ms())
    alipay.merchants.save(replace(merchant, keys=keys))
    return as_json(view_merchant(alipay, alipay.merchants.owner(merchant.app_id)))


async def _top_up(alipay: Alipay, name: str, request: Request) -> Answer:
    said = read(request, TopUp)
    merchant = alipay.merchants.first_or_named(said.app_id)
    if said.amount_minor < 1:
        raise NotPossible("the amount must be positive")
    alipay.record(ToppedUp(merchant.app_id, alipay.clock.now_ms(), said.amount_minor))
    return as_json(view_merchant(alipay, merchant))


_CONTROLS: Controls[Alipay] = {
    **{("POST", name): _touch for name in ("scan", "pay", "decline", "expire", "finish", "refund", "renotify")},
    **{("POST", name): _step for name in _STEPS},
    ("GET", "trades"): _trades,
    ("GET", "transfers"): _transfers,
    ("GET", "merchants"): _merchants,
    ("POST", "merchants"): _post_merchants,
    ("POST", "rotate"): _rotate,
    ("POST", "top_up"): _top_up,
}
