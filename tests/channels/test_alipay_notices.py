"""A notice of Alipay: genuine ones are read, everything else is refused as a bad notice."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from channels.otherside import NOW, NUMBER
from channels.otherside_alipay import APP_ID, PID, TRADE_NO, account, form, told, told_transfer
from tael.base.errors import TaelError
from tael.base.money import Money
from tael.channels.alipay.keys import AlipayKeys, Keyring, keys_of
from tael.channels.alipay.notices import acknowledge, refuse, verify
from tael.channels.contract import BadNotification, MalformedNotification, PaymentState, PayoutState

VECTORS = json.loads((Path(__file__).parents[1] / "peers" / "alipay_vectors.json").read_bytes())


def opened(raw: bytes, **kwargs):
    return verify(account(**kwargs), [], raw, now=NOW)


@pytest.mark.parametrize("keys", ["certificate", "public_key"])
def test_a_payment(keys: str):
    event = opened(form(told()), keys=keys)
    view = event.subject
    assert (view.number, view.state, view.channel_ref) == (NUMBER, PaymentState.PAID, TRADE_NO)
    assert (view.amount, view.mchid, view.appid) == (Money(8800, "CNY"), PID, APP_ID)
    assert view.paid_at == datetime(2026, 3, 2, 4, 5, tzinfo=UTC)
    assert (event.id, event.kind) == ("ac05099524730693a8b330c5ecf72da9786", "trade_status_sync")
    assert event.occurred_at == datetime(2026, 3, 2, 4, 5, 2, tzinfo=UTC)


STATES = [
    (told(trade_status="TRADE_FINISHED"), PaymentState.PAID),
    (told(trade_status="WAIT_BUYER_PAY", gmt_payment=""), PaymentState.UNPAID),
    (told(trade_status="TRADE_CLOSED", gmt_payment=""), PaymentState.CLOSED),
    (
        told(trade_status="TRADE_CLOSED", refund_fee="88.00", gmt_refund="2026-03-02 12:06:00.320"),
        PaymentState.REFUNDED,
    ),
    (told(refund_fee="10.00", out_biz_no="RF1", gmt_refund="2026-03-02 12:06:00.320"), PaymentState.REFUNDED),
    (told(a_new_parameter="x=y&z", another=""), PaymentState.PAID),
    (told(subject="+ % & = 咖啡"), PaymentState.PAID),
]


@pytest.mark.parametrize(("said", "state"), STATES)
def test_states_and_parameters_that_nobody_promised(said: dict[str, str], state: PaymentState):
    assert opened(form(said)).subject.state is state


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "gbk", "GBK", "gb18030", "gb2312"])
def test_charsets(charset: str):
    assert opened(form(told(charset=charset, subject="咖啡"), charset=charset)).subject.state is PaymentState.PAID


def test_a_space_may_be_a_plus_or_percent_and_a_plus_in_the_signature_may_be_bare():
    raw = form(told())
    head, _, sign = raw.partition(b"&sign=")
    assert b"%2B" in sign, "this key's signature has a plus sign"
    assert opened(head.replace(b"+", b"%20") + b"&sign=" + sign).subject.state is PaymentState.PAID
    assert opened(head + b"&sign=" + sign.replace(b"%2B", b"+")).subject.state is PaymentState.PAID


PAYOUTS = [
    ({}, PayoutState.PAID),
    ({"status": "FAIL", "error_code": "PAYEE_ACCOUNT_STATUS_ERROR"}, PayoutState.FAILED),
    ({"status": "CLOSED"}, PayoutState.FAILED),
    ({"status": "REFUND", "action_type": "REFUND"}, PayoutState.RETURNED),
    ({"status": "DEALING"}, PayoutState.PROCESSING),
]


@pytest.mark.parametrize(("change", "state"), PAYOUTS)
def test_a_payout(change: dict[str, str], state: PayoutState):
    event = opened(form(told_transfer(**change)))
    assert (event.subject.state, event.subject.number, event.subject.amount) == (state, NUMBER, Money(10, "CNY"))
    assert (event.subject.mchid, event.subject.appid) == (PID, APP_ID)
    assert event.occurred_at == datetime(2026, 3, 2, 4, 5, 2, 123000, tzinfo=UTC)


TRUE = form(told())
BAD = [
    ("of another app", form(told(app_id="2021000000000002")), BadNotification),
    ("of another seller", form(told(seller_id="2088000000000002")), BadNotification),
    ("transfer of another app", form(told_transfer() | {"app_id": "2021000000000002"}), BadNotification),
    ("by a stranger", form(told(), signer="stranger"), BadNotification),
    ("SHA-1", form(told(), by=SHA1()), BadNotification),
    ("SHA-1, and says so", form(told(sign_type="RSA"), by=SHA1()), BadNotification),
    ("SHA-256, but says RSA", form(told(sign_type="RSA")), BadNotification),
    ("without sign_type", form({k: v for k, v in told().items() if k != "sign_type"}), BadNotification),
    ("without sign", TRUE.partition(b"&sign=")[0], BadNotification),
    ("empty sign", TRUE.partition(b"&sign=")[0] + b"&sign=", BadNotification),
    ("another amount", TRUE.replace(b"88.00", b"99.00"), BadNotification),
    ("one more parameter", TRUE + b"&refund_fee=1", BadNotification),
    ("a parameter twice", TRUE + b"&total_amount=99.00", MalformedNotification),
    ("a parameter twice, encoded", TRUE + b"&%74otal_amount=99.00", MalformedNotification),
    ("sign twice", TRUE + b"&sign=x", MalformedNotification),
    ("a name that is none", TRUE + b"&a%00b=1", MalformedNotification),
    ("no equals sign", TRUE + b"&x", MalformedNotification),
    ("a value that could be two parameters", form(told(subject="x&y=1")), MalformedNotification),
    ("empty", b"", MalformedNotification),
    ("JSON", b'{"trade_status":"TRADE_SUCCESS"}', MalformedNotification),
    ("too large", TRUE + b"&x=" + b"y" * 70_000, MalformedNotification),
    ("thousands of parameters", b"&".join(b"p%d=1" % n for n in range(3000)), MalformedNotification),
    ("charset nobody knows", form(told(charset="latin-7")), MalformedNotification),
    ("not the charset it says", form(told(subject="咖啡"), charset="gbk"), MalformedNotification),
    ("no seller", form({k: v for k, v in told().items() if k != "seller_id"}), MalformedNotification),
    ("no number", form({k: v for k, v in told().items() if k != "out_trade_no"}), MalformedNotification),
    ("no notify_id", form(told(notify_id="")), MalformedNotification),
    ("no time", form(told(notify_time="")), MalformedNotification),
    ("state nobody promised", form(told(trade_status="TRADE_PENDING")), MalformedNotification),
    ("paid without a time", form(told(gmt_payment="")), MalformedNotification),
    ("paid nothing", form(told(total_amount="0.00")), MalformedNotification),
    ("amount of a float", form(told(total_amount="88.000")), MalformedNotification),
    ("another kind", form(told(notify_type="dut_user_sign")), MalformedNotification),
    ("another message", form(told_transfer() | {"msg_method": "alipay.trade.created"}), MalformedNotification),
    ("transfer without content", form(told_transfer() | {"biz_content": ""}), MalformedNotification),
    ("transfer with a member twice", form(told_transfer() | {
        "biz_content": told_transfer()["biz_content"].replace('"status"', '"status":"FAIL","status"')
    }), MalformedNotification),
    ("transfer without a time", form(told_transfer() | {"utc_timestamp": "now"}), MalformedNotification),
    ("transfer of no state", form(told_transfer(status="OK")), MalformedNotification),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "refusal"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_everything_else_is_refused(raw: bytes, refusal: type[BadNotification]):
    with pytest.raises(BadNotification) as refused:
        opened(raw)
    assert type(refused.value) is refusal


def test_an_old_notice_is_the_same_notice():
    later = NOW.replace(year=2027)
    assert verify(account(), [], TRUE, now=later).subject == opened(TRUE).subject


@pytest.mark.parametrize("name", sorted(VECTORS["notices"]))
def test_recorded_notices(name: str):
    """The texts that the SDK signed; they name no seller, so reading a payment ends there."""
    public = load_pem_public_key(VECTORS["public_key"].encode())
    ours = replace(
        account(),
        appid="2021000000000001",
        keys=AlipayKeys(keys_of(account()).private_key, None, None, Keyring(public, {}, ())),
    )
    raw = VECTORS["notices"][name]["form"].encode()
    with pytest.raises(BadNotification) as refused:
        verify(ours, [], raw.replace(b"A1", b"A2").replace(b"T1", b"T2"), now=NOW)
    assert str(refused.value) == "wrong_signature"
    with pytest.raises(MalformedNotification):
        verify(ours, [], raw, now=NOW)


def test_answers():
    assert (acknowledge().status, acknowledge().body) == (200, b"success")
    assert (refuse(BadNotification("why")).status, refuse(BadNotification("why")).body) == (401, b"failure")
    assert refuse(TaelError("ours")).status >= 400
    assert quote(acknowledge().body) == "success"
