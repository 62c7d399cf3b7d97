"""Notices of payments, refunds and transfers, sealed with the APIv3 key and signed with a platform key, in person or
spoilt.

Every try is stamped and signed anew; the notice keeps its id. 200 and 204 within five seconds count as accepted,
whatever the body says; anything else climbs the ladder.
"""

import re
from dataclasses import replace
from functools import partial

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tael_sandbox.courier import Notice, Verdict
from tael_sandbox.faults import Fault
from tael_sandbox.notify import Letter, Sender
from tael_sandbox.outgoing import Heard
from tael_sandbox.wechat.signing import SCHEME, seal, sign_reply
from tael_sandbox.wechat.state import WATCH_REFUND, WATCH_TRANSFER, Wechat
from tael_sandbox.wechat.tidings import Told, tell, told_wrongly
from tael_sandbox.wechat.transaction import china_time

_PROBE = "WECHATPAY/SIGNTEST/"


async def attempt(wechat: Wechat, notice: Notice) -> Verdict:
    """Send a notice once; a watch only looks at what it is about. Before a signature test, the probe goes out."""
    if notice.topic == WATCH_REFUND:
        wechat.refund(notice.mchid, notice.out_trade_no)
        return Verdict(accepted=True)
    if notice.topic == WATCH_TRANSFER:
        wechat.transfer(notice.mchid, notice.out_trade_no)
        return Verdict(accepted=True)
    await wechat.journal.settled()
    fault = wechat.faults.take("notify", notice.out_trade_no)
    sender = Sender(wechat, notice, write=partial(_letter, wechat, notice), accepts=_accepts)
    if fault is not None and fault.kind == "signtest":
        await sender.send(fault)
        fault = None
    return await sender.deliver(fault)


def _accepts(heard: Heard) -> bool:
    return heard.status in (200, 204)


def _letter(wechat: Wechat, notice: Notice, fault: Fault | None) -> Letter:
    """With a fault, exactly one thing is wrong; every other signature and seal in it is good."""
    lie = None if fault is None else told_wrongly(wechat, notice, fault)
    if fault is not None and lie is None:
        return _missigned(wechat, notice, fault)
    return _signed(wechat, notice, _body(wechat, notice, lie or tell(wechat, notice)))


def _missigned(wechat: Wechat, notice: Notice, fault: Fault) -> Letter:
    """Right content, wrong envelope."""
    merchant = wechat.merchants.owner(notice.mchid)
    body = _body(wechat, notice, tell(wechat, notice))
    letter = _signed(wechat, notice, body, seconds_ago=fault.late_s if fault.kind == "stale_timestamp" else 0)
    match fault.kind:
        case "bad_signature":
            return replace(letter, body=body.replace(b'"summary":"', b'"summary":" ', 1))
        case "signtest":
            signature = _PROBE + letter.headers["Wechatpay-Signature"]
            return replace(letter, headers={**letter.headers, "Wechatpay-Signature": signature})
        case "unknown_serial":
            return replace(letter, headers={**letter.headers, "Wechatpay-Serial": "7" * 40})
        case "bad_seal":
            return _signed(wechat, notice, re.sub(rb'"associated_data":"\w+"', b'"associated_data":"forged"', body))
        case "other_merchants_key":
            others = [one for one in wechat.merchants.all() if one.mchid != merchant.mchid]
            return _signed(wechat, notice, body, key=(others or [merchant])[0].keys.public_key)
        case _:
            return letter


def _body(wechat: Wechat, notice: Notice, told: Told) -> bytes:
    nonce, apiv3_key = wechat.ids.nonce(12), wechat.merchants.owner(notice.mchid).keys.apiv3_key
    sealed = seal(apiv3_key, msgspec.json.encode(told.content), nonce=nonce, associated=told.original)
    return msgspec.json.encode(
        {
            "id": notice.id,
            "create_time": china_time(notice.created_ms),
            "resource_type": "encrypt-resource",
            "event_type": told.event,
            "summary": told.summary,
            "resource": {
                "original_type": told.original,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": sealed,
                "associated_data": told.original,
                "nonce": nonce,
            },
        }
    )


def _signed(
    wechat: Wechat, notice: Notice, body: bytes, *, seconds_ago: int = 0, key: RSAPrivateKey | None = None
) -> Letter:
    key_id, right_key = _notice_key(wechat, notice)
    seconds, nonce = wechat.clock.wire_s() - seconds_ago, wechat.ids.nonce()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Mozilla/4.0",
        "Wechatpay-Timestamp": str(seconds),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": key_id,
        "Wechatpay-Signature": sign_reply(key or right_key, seconds=seconds, nonce=nonce, body=body),
        "Wechatpay-Signature-Type": SCHEME,
    }
    return Letter(body, headers)


def _notice_key(wechat: Wechat, notice: Notice) -> tuple[str, RSAPrivateKey]:
    """While both kinds are in use, an order's own digits decide whether it is among the public key's share."""
    merchant = wechat.merchants.owner(notice.mchid)
    keys = merchant.keys
    share = {"public_key": 1000, "certificate": 0, "both": merchant.about.notify_by_public_key}[merchant.about.mode]
    if int(wechat.ids.digits(3, "grey", notice.mchid, notice.out_trade_no)) < share:
        return keys.public_key_id, keys.public_key
    return keys.signing.serial, keys.signing.key
