"""Notices of payments, refunds and transfers, sealed with the APIv3 key and signed with a platform key, in person or
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
from tael_sandbox.wechat.state import WATCH_REFUND, WATCH_TRANSFER, Wechat
from tael_sandbox.wechat.tidings import Told, tell, told_wrongly
from tael_sandbox.wechat.transaction import china_time

_ANSWER_WITHIN_S = 5
_MOST_ANSWER_CHARS = 500
_PROBE = "WECHATPAY/SIGNTEST/"


@dataclass(frozen=True, slots=True)
class _Letter:
    body: bytes
    headers: dict[str, str]


async def attempt(wechat: Wechat, notice: Notice) -> Verdict:
    """Send a notice once, as healthy or as broken as the armed faults want it."""
    if notice.topic == WATCH_REFUND:
        wechat.refund(notice.mchid, notice.out_trade_no)
        return Verdict(accepted=True)
    if notice.topic == WATCH_TRANSFER:
        wechat.transfer(notice.mchid, notice.out_trade_no)
        return Verdict(accepted=True)
    await wechat.journal.settled()
    fault = wechat.faults.take("notify", notice.out_trade_no) if wechat.faults.touches("notify") else None
    if fault is None:
        return await _send(wechat, notice, _letter(wechat, notice), fault="")
    match fault.kind:
        case "late":
            return Verdict(postponed_ms=fault.late_s * 1000)
        case "out_of_order":
            return Verdict(held=True)
        case "drop":
            _note(wechat, notice, status=0, answer="dropped on purpose", accepted=False, fault=fault.kind)
            return Verdict()
        case "duplicate":
            letters = [_letter(wechat, notice) for _ in range(fault.times)]
            sent = [_send(wechat, notice, letter, fault=fault.kind) for letter in letters]
            return (await asyncio.gather(*sent))[-1]
        case "signtest":
            await _send(wechat, notice, _spoilt(wechat, notice, fault), fault=fault.kind)
            return await _send(wechat, notice, _letter(wechat, notice), fault="")
        case _:
            return await _send(wechat, notice, _spoilt(wechat, notice, fault), fault=fault.kind)


async def _send(wechat: Wechat, notice: Notice, letter: _Letter, *, fault: str) -> Verdict:
    parts = urlsplit(notice.url)
    if parts.scheme != "http" or parts.hostname not in wechat.notify_hosts:
        _note(wechat, notice, status=0, answer="not a host the sandbox may call", accepted=False, fault=fault)
        return Verdict()
    try:
        heard = await wechat.poster.post(
            notice.url, headers=letter.headers, body=letter.body, timeout_s=_ANSWER_WITHIN_S
        )
    except NotDelivered as error:
        _note(wechat, notice, status=0, answer=str(error), accepted=False, fault=fault)
        return Verdict()
    accepted = heard.status in (200, 204)
    text = heard.body.decode("utf-8", "replace")[:_MOST_ANSWER_CHARS]
    _note(wechat, notice, status=heard.status, answer=text, accepted=accepted, fault=fault)
    return Verdict(accepted=accepted)


def _letter(wechat: Wechat, notice: Notice) -> _Letter:
    return _signed(wechat, notice, _body(wechat, notice, tell(wechat, notice)))


def _spoilt(wechat: Wechat, notice: Notice, fault: Fault) -> _Letter:
    """A letter with exactly one thing wrong; every other signature and seal in it is good."""
    lie = told_wrongly(wechat, notice, fault)
    return _missigned(wechat, notice, fault) if lie is None else _signed(wechat, notice, _body(wechat, notice, lie))


def _missigned(wechat: Wechat, notice: Notice, fault: Fault) -> _Letter:
    """Right content, wrong envelope."""
    merchant = _merchant(wechat, notice)
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


def _merchant(wechat: Wechat, notice: Notice) -> Merchant:
    merchant = wechat.merchants.get(notice.mchid)
    assert merchant is not None, "notices belong to merchants that exist"
    return merchant


def _body(wechat: Wechat, notice: Notice, told: Told) -> bytes:
    nonce, apiv3_key = wechat.ids.nonce(12), _merchant(wechat, notice).keys.apiv3_key
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
) -> _Letter:
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
    return _Letter(body, headers)


def _notice_key(wechat: Wechat, notice: Notice) -> tuple[str, RSAPrivateKey]:
    """While both kinds are in use, an order's own digits decide whether it is among the public key's share."""
    merchant = _merchant(wechat, notice)
    keys = merchant.keys
    share = {"public_key": 1000, "certificate": 0, "both": merchant.notify_by_public_key}[merchant.mode]
    if int(wechat.ids.digits(3, "grey", notice.mchid, notice.out_trade_no)) < share:
        return keys.public_key_id, keys.public_key
    return keys.signing.serial, keys.signing.key


def _note(wechat: Wechat, notice: Notice, *, status: int, answer: str, accepted: bool, fault: str) -> None:
    wechat.witness.told(
        Delivery(
            at_ms=wechat.clock.now_ms(),
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
