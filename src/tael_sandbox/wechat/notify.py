"""Payment notices: ``TRANSACTION.SUCCESS``, sealed with the APIv3 key and signed with a platform key, in person or
spoilt.

Every try is stamped and signed anew; the notice keeps its id. 200 and 204 within five seconds count as accepted,
whatever the body says; anything else climbs the ladder. Only hosts of this machine (and hosts the sandbox was told
about) are called.
"""

import asyncio
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tael_sandbox.calls import Delivery
from tael_sandbox.courier import Notice, Verdict
from tael_sandbox.faults import Fault
from tael_sandbox.outgoing import NotDelivered
from tael_sandbox.wechat.merchants import Merchant
from tael_sandbox.wechat.signing import SCHEME, seal, sign_reply
from tael_sandbox.wechat.transaction import Transaction, china_time, show
from tael_sandbox.world import World

_ANSWER_WITHIN_S = 5
_MOST_ANSWER_CHARS = 500
_PROBE = "WECHATPAY/SIGNTEST/"


@dataclass(frozen=True, slots=True)
class _Letter:
    body: bytes
    headers: dict[str, str]


async def attempt(world: World, notice: Notice) -> Verdict:
    """Send a notice once, as healthy or as broken as the armed faults want it."""
    await world.journal.settled()
    fault = world.faults.take("notify", notice.out_trade_no) if world.faults.touches("notify") else None
    if fault is None:
        return await _send(world, notice, _letter(world, notice), fault="")
    match fault.kind:
        case "late":
            return Verdict(postponed_ms=fault.late_s * 1000)
        case "out_of_order":
            return Verdict(held=True)
        case "drop":
            _note(world, notice, status=0, answer="dropped on purpose", accepted=False, fault=fault.kind)
            return Verdict()
        case "duplicate":
            letters = [_letter(world, notice) for _ in range(fault.times)]
            sent = [_send(world, notice, letter, fault=fault.kind) for letter in letters]
            return (await asyncio.gather(*sent))[-1]
        case "signtest":
            await _send(world, notice, _spoilt(world, notice, fault), fault=fault.kind)
            return await _send(world, notice, _letter(world, notice), fault="")
        case _:
            return await _send(world, notice, _spoilt(world, notice, fault), fault=fault.kind)


async def _send(world: World, notice: Notice, letter: _Letter, *, fault: str) -> Verdict:
    parts = urlsplit(notice.url)
    if parts.scheme != "http" or parts.hostname not in world.notify_hosts:
        _note(world, notice, status=0, answer="not a host the sandbox may call", accepted=False, fault=fault)
        return Verdict()
    try:
        heard = await world.poster.post(
            notice.url, headers=letter.headers, body=letter.body, timeout_s=_ANSWER_WITHIN_S
        )
    except NotDelivered as error:
        _note(world, notice, status=0, answer=str(error), accepted=False, fault=fault)
        return Verdict()
    accepted = heard.status in (200, 204)
    text = heard.body.decode("utf-8", "replace")[:_MOST_ANSWER_CHARS]
    _note(world, notice, status=heard.status, answer=text, accepted=accepted, fault=fault)
    return Verdict(accepted=accepted)


def _letter(world: World, notice: Notice) -> _Letter:
    merchant = _merchant(world, notice)
    return _signed(world, notice, _body(world, merchant, notice, _transaction(world, notice)))


def _spoilt(world: World, notice: Notice, fault: Fault) -> _Letter:
    """A letter with exactly one thing wrong; every other signature and seal in it is good."""
    told = _transaction(world, notice)
    match fault.kind:
        case "wrong_amount":
            total = fault.amount_minor or told.amount.total + 1
            wrong = msgspec.structs.replace(told, amount=msgspec.structs.replace(told.amount, total=total))
        case "wrong_currency":
            wrong = msgspec.structs.replace(told, amount=msgspec.structs.replace(told.amount, currency="USD"))
        case "wrong_appid":
            wrong = msgspec.structs.replace(told, appid="wx0000000000000000")
        case "wrong_mchid":
            wrong = msgspec.structs.replace(told, mchid="1900000000")
        case "other_order":
            wrong = msgspec.structs.replace(told, out_trade_no=fault.other_out_trade_no or f"X{told.out_trade_no[1:]}")
        case _:
            return _missigned(world, notice, fault)
    return _signed(world, notice, _body(world, _merchant(world, notice), notice, wrong))


def _missigned(world: World, notice: Notice, fault: Fault) -> _Letter:
    """Right content, wrong envelope."""
    merchant = _merchant(world, notice)
    body = _body(world, merchant, notice, _transaction(world, notice))
    letter = _signed(world, notice, body, seconds_ago=fault.late_s if fault.kind == "stale_timestamp" else 0)
    match fault.kind:
        case "bad_signature":
            return replace(letter, body=body.replace(b'"summary":"', b'"summary":" ', 1))
        case "signtest":
            signature = _PROBE + letter.headers["Wechatpay-Signature"]
            return replace(letter, headers={**letter.headers, "Wechatpay-Signature": signature})
        case "unknown_serial":
            return replace(letter, headers={**letter.headers, "Wechatpay-Serial": "7" * 40})
        case "bad_seal":
            return _signed(world, notice, re.sub(rb'"associated_data":"\w+"', b'"associated_data":"forged"', body))
        case "other_merchants_key":
            others = [one for one in world.merchants.all() if one.mchid != merchant.mchid]
            return _signed(world, notice, body, key=(others or [merchant])[0].keys.public_key)
        case _:
            return letter


def _merchant(world: World, notice: Notice) -> Merchant:
    merchant = world.merchants.get(notice.mchid)
    assert merchant is not None, "notices belong to merchants that exist"
    return merchant


def _transaction(world: World, notice: Notice) -> Transaction:
    """The payment that this notice tells of, which need not be the order's latest."""
    order = world.orders.get(notice.mchid, notice.out_trade_no)
    assert order is not None, "notices tell of orders that exist"
    payment = world.orders.payment(notice.transaction_id)
    return show(msgspec.structs.replace(order, state="SUCCESS"), payment=payment)


def _body(world: World, merchant: Merchant, notice: Notice, told: Transaction) -> bytes:
    nonce = world.ids.nonce(12)
    sealed = seal(merchant.keys.apiv3_key, msgspec.json.encode(told), nonce=nonce, associated="transaction")
    return msgspec.json.encode(
        {
            "id": notice.id,
            "create_time": china_time(notice.created_ms),
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {
                "original_type": "transaction",
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": sealed,
                "associated_data": "transaction",
                "nonce": nonce,
            },
        }
    )


def _signed(
    world: World, notice: Notice, body: bytes, *, seconds_ago: int = 0, key: RSAPrivateKey | None = None
) -> _Letter:
    key_id, right_key = _notice_key(world, notice)
    seconds, nonce = world.clock.wire_s() - seconds_ago, world.ids.nonce()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Mozilla/4.0",
        "Wechatpay-Timestamp": str(seconds),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": key_id,
        "Wechatpay-Signature": sign_reply(key or right_key, seconds=seconds, nonce=nonce, body=body),
        "Wechatpay-Signature-Type": SCHEME,
    }
    return _Letter(body, headers)


def _notice_key(world: World, notice: Notice) -> tuple[str, RSAPrivateKey]:
    """While both kinds are in use, an order's own digits decide whether it is among the public key's share."""
    merchant = _merchant(world, notice)
    keys = merchant.keys
    share = {"public_key": 1000, "certificate": 0, "both": merchant.notify_by_public_key}[merchant.mode]
    if int(world.ids.digits(3, "grey", notice.mchid, notice.out_trade_no)) < share:
        return keys.public_key_id, keys.public_key
    return keys.signing.serial, keys.signing.key


def _note(world: World, notice: Notice, *, status: int, answer: str, accepted: bool, fault: str) -> None:
    world.witness.told(
        Delivery(
            at_ms=world.clock.now_ms(),
            notice_id=notice.id,
            mchid=notice.mchid,
            out_trade_no=notice.out_trade_no,
            url=notice.url,
            attempt=notice.tries + 1,
            status=status,
            answer=answer,
            accepted=accepted,
            fault=fault,
        )
    )
