"""A refund at WeChat: what is sent, what each reply and notice proves. The outcome is the last column."""

import json
from dataclasses import replace

import pytest

from channels.otherside import MCHID, NOW, NUMBER, account, notice, problem, reply, signature_headers, unsigned
from tael.base.money import Money
from tael.channels.contract import (
    ErrorKind,
    MalformedNotification,
    Outcome,
    RefundRef,
    RefundRequest,
    RefundState,
    Retry,
)
from tael.channels.exchange import HttpResponse
from tael.channels.wechat.notices import verify
from tael.channels.wechat.refunds import build_query_refund, build_refund, parse_query_refund, parse_refund

NONCE = "0123456789abcdef0123456789abcdef"
ACCOUNT = account()
REFUND = "RF1030KA1B2202603020405060010043"
REQUEST = RefundRequest(
    number=REFUND, payment_number=NUMBER, payment_ref=None, amount=Money(30, "CNY"), total=Money(100, "CNY"),
    reason="少了一件", notify_url="https://pay.example.com/v1/notices/wechat/7",
)  # fmt: skip
REF = RefundRef(REFUND, NUMBER, Money(30, "CNY"))


def described(**other: object) -> dict[str, object]:
    """A refund as a reply writes it."""
    return {
        "refund_id": "50300908902026030205060708091", "out_refund_no": REFUND, "out_trade_no": NUMBER,
        "transaction_id": "4200001234202603021234567890", "channel": "ORIGINAL", "status": "PROCESSING",
        "user_received_account": "招商银行信用卡0403", "create_time": "2026-03-02T12:05:00+08:00",
        "amount": {"total": 100, "refund": 30, "payer_refund": 27, "currency": "CNY"},
    } | other  # fmt: skip


DONE = described(status="SUCCESS", success_time="2026-03-02T12:06:00+08:00")


def told(**other: object) -> dict[str, object]:
    """A refund as a notice writes it: another name for the state, a merchant, no currency."""
    said = {name: value for name, value in DONE.items() if name != "status"}
    said |= {"mchid": MCHID, "refund_status": "SUCCESS", "amount": {"total": 100, "refund": 30, "payer_refund": 27}}
    return {name: value for name, value in (said | other).items() if value is not None}


def ask(response: HttpResponse):
    sent = build_refund(ACCOUNT, REQUEST, now=NOW, nonce=NONCE)
    return parse_refund(ACCOUNT, REQUEST, sent, response, now=NOW)


def query(response: HttpResponse):
    sent = build_query_refund(ACCOUNT, REF, now=NOW, nonce=NONCE)
    return parse_query_refund(ACCOUNT, REF, sent, response, now=NOW)


def test_what_is_sent():
    sent = build_refund(ACCOUNT, REQUEST, now=NOW, nonce=NONCE)
    assert (sent.method, sent.target) == ("POST", "/v3/refund/domestic/refunds")
    assert json.loads(sent.body) == {
        "out_trade_no": NUMBER, "out_refund_no": REFUND, "reason": "少了一件",
        "notify_url": "https://pay.example.com/v1/notices/wechat/7",
        "amount": {"refund": 30, "total": 100, "currency": "CNY"},
    }  # fmt: skip
    assert build_refund(ACCOUNT, REQUEST, now=NOW, nonce=NONCE) == sent, "the same request is the same bytes"


def test_the_channels_number_is_used_when_it_is_known_and_a_reason_is_made_fit():
    request = replace(REQUEST, payment_ref="4200001234", reason="x\u202e" * 100)
    said = json.loads(build_refund(ACCOUNT, request, now=NOW, nonce=NONCE).body)
    assert (said["transaction_id"], said["reason"], "out_trade_no" in said) == ("4200001234", "x" * 80, False)
    assert "reason" not in json.loads(build_refund(ACCOUNT, replace(REQUEST, reason=""), now=NOW, nonce=NONCE).body)


def test_a_number_with_signs_is_encoded_before_it_is_signed():
    sent = build_query_refund(ACCOUNT, replace(REF, number="a|b*c@d"), now=NOW, nonce=NONCE)
    assert sent.target == "/v3/refund/domestic/refunds/a%7Cb%2Ac%40d"


U, S = Outcome.UNKNOWN, Outcome.SUCCEEDED
K, R = ErrorKind, Retry
READ = [
    ("processing", described(), RefundState.PROCESSING),
    ("done", DONE, RefundState.REFUNDED),
    ("closed", described(status="CLOSED"), RefundState.CLOSED),
    ("abnormal", described(status="ABNORMAL"), RefundState.ABNORMAL),
    ("a state nobody listed", described(status="REFUNDED"), None),
    ("no state", described(status=None), None),
    ("the word of a notice", described(status=None, refund_status="SUCCESS"), None),
    ("done without a time", described(status="SUCCESS"), None),
    ("done without their number", DONE | {"refund_id": ""}, None),
    ("another refund", described(out_refund_no="RF2"), None),
    ("no amount", described(amount=None), None),
    ("nothing", described(amount={"refund": 0, "currency": "CNY"}), None),
    ("a fraction", described(amount={"refund": 30.5, "currency": "CNY"}), None),
    ("other money", described(amount={"refund": 30, "currency": "XXX"}), None),
]


@pytest.mark.parametrize(("content", "state"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_what_a_reply_says(content: dict[str, object], state: RefundState | None):
    for result in (ask(reply(200, content)), query(reply(200, content))):
        assert (result.value.state if result.value else None) is state
        assert result.outcome is (U if state is None else S)
        if result.value is not None:
            view = result.value
            assert (view.number, view.payment_number, view.amount) == (REFUND, NUMBER, Money(30, "CNY"))
            assert (view.mchid, view.channel_ref) == (MCHID, "50300908902026030205060708091")
            assert (view.refunded_at is not None) == (state is RefundState.REFUNDED)


REFUSED = [
    ("older than five minutes", reply(200, DONE, age_s=300), K.BAD_SIGNATURE, R.QUERY_FIRST),
    ("signed by another key", reply(200, DONE, signer="stranger"), K.BAD_SIGNATURE, R.QUERY_FIRST),
    ("unsigned", unsigned(200, DONE), K.BAD_SIGNATURE, R.QUERY_FIRST),
    ("garbage", reply(200, b"\x00\xff"), K.UNKNOWN, R.QUERY_FIRST),
    ("another 2xx", reply(202, DONE), K.UNKNOWN, R.QUERY_FIRST),
    ("400 parameter", problem(400, "PARAM_ERROR"), K.INVALID, R.QUERY_FIRST),
    ("400 invalid request", problem(400, "INVALID_REQUEST"), K.INVALID, R.QUERY_FIRST),
    ("401", problem(401, "SIGN_ERROR"), K.AUTH, R.QUERY_FIRST),
    ("403 balance", problem(403, "NOT_ENOUGH"), K.INSUFFICIENT_CHANNEL_BALANCE, R.SAME_REQUEST),
    ("403 balance, old spelling", problem(403, "NOTENOUGH"), K.INSUFFICIENT_CHANNEL_BALANCE, R.SAME_REQUEST),
    ("429", problem(429, "FREQUENCY_LIMITED"), K.RATE_LIMITED, R.SAME_REQUEST),
    ("500", problem(500, "SYSTEM_ERROR"), K.UNKNOWN, R.QUERY_FIRST),
    ("502 html", unsigned(502, b"<html>"), K.UNAVAILABLE, R.QUERY_FIRST),
    ("a code nobody listed", problem(403, "USER_ACCOUNT_ABNORMAL"), K.UNKNOWN, R.QUERY_FIRST),
]


@pytest.mark.parametrize(
    ("response", "kind", "retry"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_no_refusal_ends_a_refund(response: HttpResponse, kind: ErrorKind, retry: Retry):
    for result in (ask(response), query(response)):
        assert (result.outcome, result.value) == (U, None)
        assert (result.error.kind, result.error.retry) == (kind, retry)


def test_no_such_refund_is_an_answer_to_a_question_only():
    for code in ("RESOURCE_NOT_EXISTS", "RESOURCENOTEXISTS"):
        result = query(problem(404, code))
        assert (result.outcome, result.value.state, result.error.kind) == (S, RefundState.NOT_FOUND, K.NOT_FOUND)
        assert ask(problem(404, code)).outcome is U
    assert query(unsigned(404, {"code": "RESOURCE_NOT_EXISTS"})).outcome is U


def test_the_account_that_received_it_is_no_evidence_we_keep():
    assert "0403" not in ask(reply(200, json.dumps(described(), ensure_ascii=False).encode())).raw.response_body


def heard(content: dict[str, object], event: str = "REFUND.SUCCESS", kind: str = "refund"):
    raw = notice(content, event=event, kind=kind, bound="refund")
    return verify(ACCOUNT, signature_headers(raw), raw, now=NOW)


@pytest.mark.parametrize(
    ("word", "state"),
    [("SUCCESS", RefundState.REFUNDED), ("CLOSED", RefundState.CLOSED), ("ABNORMAL", RefundState.ABNORMAL)],
)
def test_a_notice(word: str, state: RefundState):
    event = heard(told(refund_status=word), f"REFUND.{word}")
    view = event.subject
    assert (event.kind, view.state, view.number, view.payment_number) == (f"REFUND.{word}", state, REFUND, NUMBER)
    assert (view.amount, view.mchid) == (Money(30, "CNY"), MCHID)


BAD = [
    ("contradicts its event", told(refund_status="CLOSED"), "REFUND.SUCCESS", "refund"),
    ("has the word of a query", told(refund_status=None, status="SUCCESS"), "REFUND.SUCCESS", "refund"),
    ("is still running", told(refund_status="PROCESSING"), "REFUND.PROCESSING", "refund"),
    ("says it is a payment", told(), "REFUND.SUCCESS", "transaction"),
    ("is sent as a payment", told(), "TRANSACTION.SUCCESS", "transaction"),
    ("names no merchant", told(mchid=None), "REFUND.SUCCESS", "refund"),
    ("names no time", told(success_time=None), "REFUND.SUCCESS", "refund"),
    ("names no amount", told(amount=None), "REFUND.SUCCESS", "refund"),
]


@pytest.mark.parametrize(("content", "event", "kind"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_notice_that_proves_nothing(content: dict[str, object], event: str, kind: str):
    with pytest.raises(MalformedNotification):
        heard(content, event, kind)
