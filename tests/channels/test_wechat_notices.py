"""Notices: the genuine one is opened, every other is refused with the right status, whatever the bytes are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.otherside import (
    APIV3,
    APPID,
    MCHID,
    NOW,
    NUMBER,
    OTHER_APIV3,
    PUBLIC_KEY_ID,
    account,
    envelope,
    notice,
    serial,
    signature_headers,
    transaction,
)
from tael.base.errors import TaelError
from tael.channels.contract import (
    BadNotification,
    MalformedNotification,
    PaymentState,
    SignatureProbe,
    UnknownSigningKey,
)
from tael.channels.wechat.keys import keys_of
from tael.channels.wechat.notices import LIMIT, acknowledge, refuse, verify

ACCOUNT = account()


def test_a_genuine_notice():
    raw = notice()
    event = verify(ACCOUNT, signature_headers(raw), raw, now=NOW)
    assert (event.id, event.kind) == ("EV-2018022511223320873", "TRANSACTION.SUCCESS")
    assert event.occurred_at.isoformat() == "2026-03-02T04:05:01+00:00"
    paid = event.subject
    assert (paid.number, paid.state, str(paid.amount)) == (NUMBER, PaymentState.PAID, "1.00 CNY")
    assert (paid.mchid, paid.appid, paid.channel_ref) == (MCHID, APPID, "4200001234202603021234567890")


CARRIED = [
    ("other order", {"out_trade_no": "RC0000000000000000000000000009"}, "number"),
    ("other amount", {"amount": {"total": 1, "currency": "CNY"}}, "amount"),
    ("other currency", {"amount": {"total": 100, "currency": "USD"}}, "amount"),
    ("other merchant", {"mchid": "1900000109"}, "mchid"),
    ("other app", {"appid": "wx0000000000000000"}, "appid"),
    ("not paid after all", {"trade_state": "NOTPAY"}, "state"),
]


@pytest.mark.parametrize(("change", "field"), [case[1:] for case in CARRIED], ids=[case[0] for case in CARRIED])
def test_what_the_order_must_be_compared_with_is_carried_as_it_was_said(change: dict[str, object], field: str):
    usual, raw = verify(ACCOUNT, signature_headers(notice()), notice(), now=NOW), notice(transaction(**change))
    changed = verify(ACCOUNT, signature_headers(raw), raw, now=NOW)
    assert getattr(changed.subject, field) != getattr(usual.subject, field)


def without(name: str) -> list[tuple[str, str]]:
    return [pair for pair in signature_headers(notice()) if pair[0] != name]


def with_value(name: str, value: str) -> list[tuple[str, str]]:
    return [(key, value if key == name else old) for key, old in signature_headers(notice())]


def signed(raw: bytes) -> tuple[list[tuple[str, str]], bytes]:
    return signature_headers(raw), raw


def resource(**changes: object) -> bytes:
    whole = envelope(transaction())
    return json.dumps(whole | {"resource": whole["resource"] | changes}).encode()


RAW = notice()
BAD = [
    ("N05 unsigned", ([], RAW), BadNotification),
    ("N05 wrong signature", (with_value("wechatpay-signature", "QUJD"), RAW), BadNotification),
    ("N05 not base64", (with_value("wechatpay-signature", "???"), RAW), BadNotification),
    ("N05 probe", (with_value("wechatpay-signature", "WECHATPAY/SIGNTEST/QUJD"), RAW), SignatureProbe),
    ("N08 signed by another key", (signature_headers(RAW, signer="stranger"), RAW), BadNotification),
    ("N08 sealed for another merchant", signed(notice(apiv3=OTHER_APIV3)), BadNotification),
    ("N10 other body under this signature", (signature_headers(RAW), notice(transaction(mchid="1"))), BadNotification),
    ("one byte more", (signature_headers(RAW), RAW + b" "), BadNotification),
    ("N17 replayed after five minutes", (signature_headers(RAW, age_s=300), RAW), BadNotification),
    ("an hour old", (signature_headers(RAW, age_s=3600), RAW), BadNotification),
    ("of the future", (signature_headers(RAW, age_s=-300), RAW), BadNotification),
    ("no timestamp", (without("wechatpay-timestamp"), RAW), BadNotification),
    ("no nonce", (without("wechatpay-nonce"), RAW), BadNotification),
    ("no signature", (without("wechatpay-signature"), RAW), BadNotification),
    ("no serial", (without("wechatpay-serial"), RAW), BadNotification),
    ("timestamp in words", (with_value("wechatpay-timestamp", "now"), RAW), BadNotification),
    ("timestamp in Arabic digits", (with_value("wechatpay-timestamp", "١٧٧٢٤٢٤٣٠٦"), RAW), BadNotification),
    ("timestamp without end", (with_value("wechatpay-timestamp", "9" * 5000), RAW), BadNotification),
    ("malformed serial", (with_value("wechatpay-serial", "not a serial!"), RAW), BadNotification),
    ("serial with a new line", (with_value("wechatpay-serial", PUBLIC_KEY_ID + "\n"), RAW), BadNotification),
    ("unknown serial", (with_value("wechatpay-serial", "5157F09EFDC096DE"), RAW), UnknownSigningKey),
    ("unknown public key", (with_value("wechatpay-serial", PUBLIC_KEY_ID + "9"), RAW), UnknownSigningKey),
    ("other algorithm", (with_value("wechatpay-signature-type", "WECHATPAY2-SM2-WITH-SM3"), RAW), BadNotification),
    ("two signatures", (signature_headers(RAW) * 2, RAW), BadNotification),
    ("two types", ([*signature_headers(RAW), ("Wechatpay-Signature-Type", "x")], RAW), BadNotification),
    ("N22 tag changed", signed(resource(ciphertext="QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=")), BadNotification),
    ("N22 associated data changed", signed(resource(associated_data="other")), BadNotification),
    ("nonce of wrong length", signed(resource(nonce="short")), MalformedNotification),
    ("nonce not ascii", signed(resource(nonce="一二三四五六七八九十一二")), MalformedNotification),
    ("ciphertext not base64", signed(resource(ciphertext="?")), MalformedNotification),
    ("ciphertext shorter than its tag", signed(resource(ciphertext="QUJD")), MalformedNotification),
    ("other sealing", signed(resource(algorithm="NONE")), MalformedNotification),
    ("other event", signed(notice(event="REFUND.SUCCESS")), MalformedNotification),
    ("other original", signed(notice(kind="refund")), MalformedNotification),
    ("signed but not JSON", signed(b"hello"), MalformedNotification),
    ("signed but empty", signed(b""), MalformedNotification),
    ("signed but deep", signed(b'{"id":' + b"[" * 50_000), MalformedNotification),
    ("sealed garbage", signed(notice(b"\xff\x00")), MalformedNotification),
    ("sealed other form", signed(notice([1, 2])), MalformedNotification),
    ("paid without amount", signed(notice(transaction(amount=None))), MalformedNotification),
    ("N23 too large", signed(RAW + b" " * LIMIT), MalformedNotification),
]


@pytest.mark.parametrize(("sent", "refusal"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_notice(sent: tuple[list[tuple[str, str]], bytes], refusal: type[BadNotification]):
    headers, raw = sent
    with pytest.raises(BadNotification) as refused:
        verify(ACCOUNT, headers, raw, now=NOW)
    assert type(refused.value) is refusal
    assert refused.value.status == (400 if refusal is MalformedNotification else 401)


@pytest.mark.parametrize("pair", signature_headers(RAW)[:5], ids=[pair[0] for pair in signature_headers(RAW)[:5]])
def test_no_signature_header_may_come_twice_even_with_the_same_value(pair: tuple[str, str]):
    with pytest.raises(BadNotification) as refused:
        verify(ACCOUNT, [*signature_headers(RAW), pair], RAW, now=NOW)
    assert refused.value.detail == "ambiguous_signature"


def test_header_names_have_no_case():
    headers = [(name.title(), value) for name, value in signature_headers(RAW)]
    assert verify(ACCOUNT, headers, RAW, now=NOW).subject.number == NUMBER


def test_an_unknown_certificate_asks_for_renewal_but_calls_nobody():
    ours = account(platform_keys="both")
    with pytest.raises(UnknownSigningKey):
        verify(ours, with_value("wechatpay-serial", serial("new certificate")), RAW, now=NOW)
    assert keys_of(ours).keyring.missed
    assert verify(ours, signature_headers(RAW), RAW, now=NOW).subject.number == NUMBER, "the known key still verifies"


def test_answers():
    assert (acknowledge().status, acknowledge().body) == (204, b"")
    assert (refuse(SignatureProbe()).status, refuse(MalformedNotification("secret")).status) == (401, 400)
    assert json.loads(refuse(MalformedNotification("secret")).body) == {
        "code": "FAIL",
        "message": "MalformedNotification",
    }
    assert refuse(TaelError()).status >= 400


@given(st.lists(st.tuples(st.text(), st.text())), st.binary())
def test_no_bytes_break_the_door(headers: list[tuple[str, str]], raw: bytes):
    with pytest.raises(BadNotification):
        verify(ACCOUNT, headers, raw, now=NOW)


@given(st.sampled_from([0, 1, 2, 3, 4]), st.text())
def test_no_header_value_breaks_the_door(which: int, value: str):
    headers = [(name, value if i == which else old) for i, (name, old) in enumerate(signature_headers(RAW))]
    if headers == signature_headers(RAW):
        return
    with pytest.raises(BadNotification):
        verify(ACCOUNT, headers, RAW, now=NOW)


@given(st.binary())
def test_no_signed_and_sealed_bytes_break_the_opening(content: bytes):
    for raw in (content, notice(content or b"{}", apiv3=APIV3)):
        with pytest.raises(MalformedNotification):
            verify(ACCOUNT, signature_headers(raw), raw, now=NOW)
