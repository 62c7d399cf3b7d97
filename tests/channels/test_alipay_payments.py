"""A payment at Alipay: what is asked, what each reply proves, and the hand-offs that are made without asking."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from channels.otherside import NOW, NUMBER, key
from channels.otherside_alipay import (
    APP_ID,
    LONG,
    PID,
    TRADE_NO,
    account,
    body,
    http,
    node_name,
    payment,
    refusal,
    reply,
    sn,
    trade,
    written,
)
from tael.base.money import Money
from tael.channels.alipay.payments import (
    build_cancel,
    build_close,
    build_create,
    build_query,
    make_handoff,
    parse_cancel,
    parse_close,
    parse_create,
    parse_query,
)
from tael.channels.alipay.signing import canonical, flaw_of
from tael.channels.contract import (
    AppParams,
    ErrorKind,
    Method,
    Outcome,
    PaymentNotPossible,
    PaymentRef,
    PaymentState,
    QrCode,
    Redirect,
    Result,
    Retry,
)
from tael.channels.exchange import HttpRequest, HttpResponse

REF = PaymentRef(NUMBER)
QR = LONG | {"qr_code": "https://qr.alipay.com/bax03431ljhokirwl38f00a7"}


def create(response: HttpResponse, keys: str = "certificate") -> Result:
    ours, request = account(keys=keys), payment()
    return parse_create(ours, request, build_create(ours, request, now=NOW), response, now=NOW)


def query(response: HttpResponse, keys: str = "certificate") -> Result:
    ours = account(keys=keys)
    return parse_query(ours, REF, build_query(ours, REF, now=NOW), response, now=NOW)


def close(response: HttpResponse) -> Result:
    return parse_close(account(), REF, build_close(account(), REF, now=NOW), response, now=NOW)


def cancel(response: HttpResponse) -> Result:
    return parse_cancel(account(), REF, build_cancel(account(), REF, now=NOW), response, now=NOW)


def content(sent: HttpRequest) -> dict:
    return json.loads(dict(parse_qsl(sent.body.decode()))["biz_content"])


def test_what_is_asked():
    request = payment(amount=Money(8805, "CNY"), attach="a=1&b 2")
    sent = build_create(account(), request, now=NOW)
    assert content(sent) == {
        "out_trade_no": NUMBER, "total_amount": "88.05", "subject": "充值 88 元",
        "product_code": "FACE_TO_FACE_PAYMENT", "time_expire": "2026-03-02 12:35:06", "passback_params": "a%3D1%26b+2",
    }  # fmt: skip
    common = dict(parse_qsl(urlsplit(sent.target).query))
    assert (common["method"], common["notify_url"]) == ("alipay.trade.precreate", request.notify_url)
    assert content(build_create(account(), request, now=NOW + timedelta(hours=-1))) == content(sent)
    assert content(build_query(account(), REF, now=NOW)) == {"out_trade_no": NUMBER}
    assert content(build_query(account(), PaymentRef(NUMBER, TRADE_NO), now=NOW)) == {"trade_no": TRADE_NO}


LOCAL = [
    (Method.PAGE, "alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
    (Method.H5, "alipay.trade.wap.pay", "QUICK_WAP_WAY"),
    (Method.APP, "alipay.trade.app.pay", "QUICK_MSECURITY_PAY"),
]


@pytest.mark.parametrize(("method", "called", "product"), LOCAL)
def test_a_hand_off_that_needs_nobody_is_signed_here(method: Method, called: str, product: str):
    result = make_handoff(account(), payment(method, return_url="https://shop.example.com/done?a=1"), now=NOW)
    assert result.outcome is Outcome.SUCCEEDED
    if method is Method.APP:
        assert isinstance(result.value, AppParams)
        order = result.value.parameters["order_string"]
    else:
        assert isinstance(result.value, Redirect)
        base, _, order = result.value.url.partition("?")
        assert base == "http://127.0.0.1:9/gateway.do"
    given = dict(parse_qsl(order, strict_parsing=True))
    assert flaw_of(canonical(given).encode(), given["sign"], [key("app").public_key()]) is None
    assert (given["method"], json.loads(given["biz_content"])["product_code"]) == (called, product)
    assert ("return_url" in given) == (method is not Method.APP)
    assert result.value.expires_at == NOW + timedelta(minutes=30)
    assert given["sign"] not in result.raw.target
    with pytest.raises(PaymentNotPossible):
        make_handoff(account(state="paused"), payment(method), now=NOW)


def test_the_qr_code_until_the_order_or_the_code_expires():
    value = create(reply("trade.precreate", QR)).value
    assert value == QrCode(QR["qr_code"], NOW + timedelta(minutes=30))


CREATED = [
    ("code for another number", reply("trade.precreate", QR | {"out_trade_no": "RC2"}), Outcome.UNKNOWN, None),
    ("no code", reply("trade.precreate", LONG), Outcome.UNKNOWN, None),
    ("code that is a script", reply("trade.precreate", QR | {"qr_code": "javascript:x"}), Outcome.UNKNOWN, None),
    ("reply of another call", reply("trade.query", QR), Outcome.UNKNOWN, None),
    ("closed", refusal("trade.precreate", "ACQ.TRADE_HAS_CLOSE"), Outcome.DECLINED, Retry.NEW_NUMBER),
    ("wrong", refusal("trade.precreate", "ACQ.INVALID_PARAMETER"), Outcome.DECLINED, Retry.NEVER),
    ("paid", refusal("trade.precreate", "ACQ.TRADE_HAS_SUCCESS"), Outcome.UNKNOWN, Retry.QUERY_FIRST),
    ("other content", refusal("trade.precreate", "ACQ.CONTEXT_INCONSISTENT"), Outcome.UNKNOWN, Retry.QUERY_FIRST),
    ("system error", refusal("trade.precreate", "ACQ.SYSTEM_ERROR"), Outcome.UNKNOWN, Retry.QUERY_FIRST),
    ("unheard of", refusal("trade.precreate", "ACQ.NEVER_SEEN"), Outcome.UNKNOWN, Retry.QUERY_FIRST),
    ("closed, code 20000", refusal("trade.precreate", "ACQ.TRADE_HAS_CLOSE", code="20000"), Outcome.UNKNOWN, None),
    ("closed, unsigned", refusal("trade.precreate", "ACQ.TRADE_HAS_CLOSE", signed=False), Outcome.UNKNOWN, None),
    ("closed, by a stranger", refusal("trade.precreate", "ACQ.TRADE_HAS_CLOSE", signer="stranger", name=sn("alipay")),
     Outcome.UNKNOWN, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("response", "outcome", "retry"), [case[1:] for case in CREATED], ids=[case[0] for case in CREATED]
)
def test_only_a_listed_and_signed_refusal_is_final(response: HttpResponse, outcome: Outcome, retry: Retry | None):
    result = create(response)
    assert (result.outcome, result.value) == (outcome, None)
    assert retry is None or result.error.retry is retry


GATEWAY = [
    ("40002", "isv.invalid-signature", ErrorKind.AUTH),
    ("40002", "isv.invalid-app-id", ErrorKind.AUTH),
    ("40002", "isv.invalid-method", ErrorKind.INVALID),
    ("40001", "isv.missing-method", ErrorKind.INVALID),
    ("40005", "isv.app-call-limited", ErrorKind.RATE_LIMITED),
    ("40006", "isv.insufficient-isv-permissions", ErrorKind.AUTH),
    ("20000", "isp.unknow-error", ErrorKind.BAD_SIGNATURE),
    ("40004", "ACQ.TRADE_NOT_EXIST", ErrorKind.BAD_SIGNATURE),
    ("10000", "", ErrorKind.BAD_SIGNATURE),
]


@pytest.mark.parametrize(("code", "sub_code", "kind"), GATEWAY)
def test_what_is_not_signed_explains_at_most(code: str, sub_code: str, kind: ErrorKind):
    said = {"code": code, "msg": "x", "sub_code": sub_code, "sub_msg": "y"} | ({} if sub_code else trade())
    for node in (node_name("trade.query"), "error_response"):
        result = query(http(b'{"%s":%s}' % (node.encode(), written(said))))
        assert (result.outcome, result.value, result.error.kind) == (Outcome.UNKNOWN, None, kind)


def test_a_signed_error_response_decides_nothing_either():
    said = written({"code": "40004", "msg": "x", "sub_code": "ACQ.TRADE_NOT_EXIST"})
    whole = body("trade.query", said).replace(node_name("trade.query").encode(), b"error_response")
    assert query(http(whole)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("written_as", "minor"), [("88", 8800), ("88.5", 8850), ("0.01", 1), ("100000000.00", 10**10)])
def test_amounts_are_read_exactly(written_as: str, minor: int):
    assert query(reply("trade.query", trade(total_amount=written_as))).value.amount == Money(minor, "CNY")


UNPAID = trade(trade_status="WAIT_BUYER_PAY") | {"send_pay_date": ""}
STATES = [
    (trade(), PaymentState.PAID),
    (trade(trade_status="TRADE_FINISHED"), PaymentState.PAID),
    (trade(trade_status="TRADE_CLOSED"), PaymentState.REFUNDED),
    (trade(trade_status="TRADE_CLOSED") | {"send_pay_date": ""}, PaymentState.CLOSED),
    (UNPAID, PaymentState.UNPAID),
    ({k: v for k, v in UNPAID.items() if k in (*LONG, "trade_status")}, PaymentState.UNPAID),
]


@pytest.mark.parametrize("keys", ["certificate", "public_key"])
@pytest.mark.parametrize(("said", "state"), STATES)
def test_states(said: dict[str, str], state: PaymentState, keys: str):
    result = query(reply("trade.query", said), keys)
    assert (result.outcome, result.value.state, result.value.number) == (Outcome.SUCCEEDED, state, NUMBER)


def test_a_paid_payment_is_told_completely():
    view = query(reply("trade.query", trade())).value
    assert (view.channel_ref, view.amount, view.mchid, view.appid) == (TRADE_NO, Money(8800, "CNY"), PID, APP_ID)
    assert view.paid_at == datetime(2026, 3, 2, 4, 5, tzinfo=UTC)


UNREADABLE = [
    {"trade_status": "TRADE_PAID"},
    {"trade_status": ""},
    {"total_amount": "88.005"},
    {"total_amount": "8.8e1"},
    {"total_amount": " 88.00"},
    {"total_amount": "-88.00"},
    {"total_amount": "0.00"},
    {"total_amount": ""},
    {"total_amount": 88.0},
    {"total_amount": "99999999999999999999.00"},
    {"total_amount": "８８.00"},
    {"send_pay_date": ""},
    {"send_pay_date": "2026-13-02 12:05:00"},
    {"send_pay_date": "2026-03-02T12:05:00+08:00"},
    {"trade_no": ""},
    {"trade_no": "a b"},
    {"trans_currency": "USD"},
    {"out_trade_no": NUMBER + "X"},
]


@pytest.mark.parametrize("change", UNREADABLE)
def test_what_is_incomplete_or_odd_is_unknown(change: dict[str, object]):
    result = query(reply("trade.query", trade() | change))
    assert (result.outcome, result.value, result.error.code) == (Outcome.UNKNOWN, None, "unreadable_reply")


BODIES = [
    b"", b"null", b"<html></html>", b"[]", b'{"alipay_trade_query_response":', b'{"sign":"x"}', b"\xff",
    body("trade.query", trade())[:-9],
    body("trade.query", trade()) + b"{}",
    body("trade.query", trade()).replace(b"88.00", b"99.00"),
    body("trade.query", trade(), name="0" * 32),
    body("trade.query", trade(), name="x y"),
]  # fmt: skip


@pytest.mark.parametrize("raw", BODIES)
@pytest.mark.parametrize("status", [200, 302, 404, 500, 502])
def test_garbage_is_unknown_whatever_the_status(raw: bytes, status: int):
    result = query(http(raw, status))
    assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
    assert result.error.retry is Retry.QUERY_FIRST


def test_absence_is_an_answer_to_a_question_only():
    absent = query(refusal("trade.query", "ACQ.TRADE_NOT_EXIST"))
    assert (absent.outcome, absent.value.state) == (Outcome.SUCCEEDED, PaymentState.NOT_FOUND)
    assert absent.error.kind is ErrorKind.NOT_FOUND
    gone = close(refusal("trade.close", "ACQ.TRADE_NOT_EXIST"))
    assert (gone.outcome, gone.value.state) == (Outcome.SUCCEEDED, PaymentState.NOT_FOUND)
    assert create(refusal("trade.precreate", "ACQ.TRADE_NOT_EXIST")).outcome is Outcome.UNKNOWN


def test_closing():
    assert close(reply("trade.close", LONG)).value.state is PaymentState.CLOSED
    assert close(reply("trade.close", LONG | {"out_trade_no": "RC2"})).outcome is Outcome.UNKNOWN
    assert close(refusal("trade.close", "ACQ.TRADE_STATUS_ERROR")).outcome is Outcome.DECLINED
    assert close(refusal("trade.close", "ACQ.SYSTEM_ERROR")).outcome is Outcome.UNKNOWN


CANCELLED = [
    ({"action": "close", "retry_flag": "N"}, Outcome.SUCCEEDED, PaymentState.CLOSED),
    ({"action": "refund", "retry_flag": "N"}, Outcome.SUCCEEDED, PaymentState.REFUNDED),
    ({"retry_flag": "N"}, Outcome.UNKNOWN, None),
    ({"action": "close", "retry_flag": "Y"}, Outcome.UNKNOWN, None),
    ({"action": "undo"}, Outcome.UNKNOWN, None),
]


@pytest.mark.parametrize(("said", "outcome", "state"), CANCELLED)
def test_cancelling_may_refund(said: dict[str, str], outcome: Outcome, state: PaymentState | None):
    result = cancel(reply("trade.cancel", LONG | said))
    assert (result.outcome, result.value.state if result.value else None) == (outcome, state)


def test_the_evidence_names_nobody_and_carries_no_signature():
    result = query(reply("trade.query", trade()))
    assert "buy***@example.com" not in result.raw.response_body
    assert "2088000000000001" not in result.raw.response_body
    assert result.raw.request_body == f'biz_content={{"out_trade_no":"{NUMBER}"}}'
    assert "sign=***" in result.raw.target
