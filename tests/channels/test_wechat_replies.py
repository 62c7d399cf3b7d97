"""Every kind of reply and what may be concluded from it: the outcome is the last column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.otherside import (
    APPID,
    MCHID,
    NOW,
    NUMBER,
    account,
    payment,
    problem,
    reply,
    transaction,
    unsigned,
)
from tael.channels.contract import (
    AppParams,
    ErrorKind,
    JsapiParams,
    Method,
    Outcome,
    PaymentRef,
    PaymentState,
    QrCode,
    Redirect,
    Retry,
)
from tael.channels.exchange import HttpResponse
from tael.channels.wechat.payments import (
    build_close,
    build_create,
    build_query,
    parse_close,
    parse_create,
    parse_query,
)

NONCE = "0123456789abcdef0123456789abcdef"
REF = PaymentRef(NUMBER)
ACCOUNT = account()
QR = {"code_url": "weixin://wxpay/bizpayurl?pr=p4lpSuKzz"}


def create(response: HttpResponse, method: Method = Method.NATIVE):
    request = payment(method)
    sent = build_create(ACCOUNT, request, now=NOW, nonce=NONCE)
    return parse_create(ACCOUNT, request, sent, response, now=NOW, nonce=NONCE)


def query(response: HttpResponse, ref: PaymentRef = REF):
    return parse_query(ACCOUNT, ref, build_query(ACCOUNT, ref, now=NOW, nonce=NONCE), response, now=NOW)


def close(response: HttpResponse):
    return parse_close(ACCOUNT, REF, build_close(ACCOUNT, REF, now=NOW, nonce=NONCE), response, now=NOW)


U, D, S = Outcome.UNKNOWN, Outcome.DECLINED, Outcome.SUCCEEDED
K, R = ErrorKind, Retry
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
CREATES = [
    ("signed success", reply(200, QR), None, None, S),
    ("older than five minutes", reply(200, QR, age_s=300), K.BAD_SIGNATURE, R.QUERY_FIRST, U),
    ("just fresh", reply(200, QR, age_s=299), None, None, S),
    ("from the future", reply(200, QR, age_s=-301), K.BAD_SIGNATURE, R.QUERY_FIRST, U),
    ("signed by another key", reply(200, QR, signer="stranger"), K.BAD_SIGNATURE, R.QUERY_FIRST, U),
    ("unknown serial", reply(200, QR, name="5157F09EFDC096DE15EBE81A47057A72"), K.BAD_SIGNATURE, R.QUERY_FIRST, U),
    ("unsigned success", unsigned(200, QR), K.BAD_SIGNATURE, R.QUERY_FIRST, U),
    ("success without a link", reply(200, {}), K.UNKNOWN, R.QUERY_FIRST, U),
    ("success with another link", reply(200, {"code_url": "javascript:alert(1)"}), K.UNKNOWN, R.QUERY_FIRST, U),
    ("truncated", reply(200, b'{"code_url":"weixin://wx'), K.UNKNOWN, R.QUERY_FIRST, U),
    ("garbage", reply(200, b"\x00\xff\xfe"), K.UNKNOWN, R.QUERY_FIRST, U),
    ("empty", reply(200, b""), K.UNKNOWN, R.QUERY_FIRST, U),
    ("deep", reply(200, b"[" * 100_000), K.UNKNOWN, R.QUERY_FIRST, U),
    ("another 2xx", reply(202, QR), K.UNKNOWN, R.QUERY_FIRST, U),
    ("redirect", unsigned(302), K.UNKNOWN, R.QUERY_FIRST, U),
    ("500 with code", problem(500, "SYSTEM_ERROR"), K.UNKNOWN, R.QUERY_FIRST, U),
    ("500 old spelling", problem(500, "SYSTEMERROR"), K.UNKNOWN, R.QUERY_FIRST, U),
    ("500 with a code that is final elsewhere", problem(500, "PARAM_ERROR"), K.INVALID, R.QUERY_FIRST, U),
    ("502 html", unsigned(502, HTML), K.UNAVAILABLE, R.QUERY_FIRST, U),
    ("503 empty", unsigned(503), K.UNAVAILABLE, R.QUERY_FIRST, U),
    ("403 html of something in between", unsigned(403, HTML), K.UNKNOWN, R.QUERY_FIRST, U),
    ("400 parameter", problem(400, "PARAM_ERROR"), K.INVALID, R.NEVER, D),
    ("400 parameter, unsigned", unsigned(400, {"code": "PARAM_ERROR"}), K.INVALID, R.QUERY_FIRST, U),
    ("400 parameter, forged", problem(400, "PARAM_ERROR", signer="stranger"), K.BAD_SIGNATURE, R.QUERY_FIRST, U),
    ("400 invalid request", problem(400, "INVALID_REQUEST"), K.INVALID, R.QUERY_FIRST, U),
    ("400 app and merchant", problem(400, "APPID_MCHID_NOT_MATCH"), K.INVALID, R.NEVER, D),
    ("400 closed", problem(400, "ORDER_CLOSED"), K.DECLINED, R.NEW_NUMBER, D),
    ("400 paid", problem(400, "ORDERPAID"), K.DUPLICATE, R.QUERY_FIRST, U),
    ("400 paid, other spelling", problem(400, "ORDER_PAID"), K.DUPLICATE, R.QUERY_FIRST, U),
    ("401 signature", problem(401, "SIGN_ERROR"), K.AUTH, R.QUERY_FIRST, U),
    ("403 no authority", problem(403, "NOAUTH"), K.AUTH, R.QUERY_FIRST, U),
    ("403 number used", problem(403, "OUT_TRADE_NO_USED"), K.DUPLICATE, R.QUERY_FIRST, U),
    ("403 rule", problem(403, "RULE_LIMIT"), K.DECLINED, R.NEVER, D),
    ("429", problem(429, "FREQUENCY_LIMITED"), K.RATE_LIMITED, R.SAME_REQUEST, U),
    ("429 other word", problem(429, "RATELIMIT_EXCEEDED"), K.RATE_LIMITED, R.SAME_REQUEST, U),
    ("429 third word, unsigned", unsigned(429, {"code": "FREQUENCY_LIMIT_EXCEED"}), K.RATE_LIMITED, R.SAME_REQUEST, U),
    ("a code nobody listed", problem(400, "SOMETHING_NEW"), K.UNKNOWN, R.QUERY_FIRST, U),
    ("a code that is no word", problem(400, "x" * 65), K.UNKNOWN, R.QUERY_FIRST, U),
    ("no code", reply(404, {"message": "x"}), K.UNKNOWN, R.QUERY_FIRST, U),
]


@pytest.mark.parametrize(
    ("response", "kind", "retry", "outcome"), [case[1:] for case in CREATES], ids=[case[0] for case in CREATES]
)
def test_create(response: HttpResponse, kind: ErrorKind | None, retry: Retry | None, outcome: Outcome):
    result = create(response)
    assert result.outcome is outcome
    assert (result.value is not None) == (outcome is Outcome.SUCCEEDED)
    assert (result.error.kind if result.error else None) is kind
    assert (result.error.retry if result.error else None) is retry


def test_a_flipped_byte_in_a_signed_body_is_not_believed():
    genuine = reply(200, QR)
    forged = HttpResponse(200, genuine.headers, genuine.body.replace(b"p4lp", b"p5lp"))
    assert create(forged).error.code == "wrong_signature"


QUERIES = [
    ("paid", reply(200, transaction()), PaymentState.PAID, S),
    ("refunded", reply(200, transaction(trade_state="REFUND")), PaymentState.REFUNDED, S),
    ("closed", reply(200, transaction(trade_state="CLOSED")), PaymentState.CLOSED, S),
    ("revoked", reply(200, transaction(trade_state="REVOKED")), PaymentState.CLOSED, S),
    ("failed", reply(200, transaction(trade_state="PAYERROR")), PaymentState.FAILED, S),
    ("paying", reply(200, transaction(trade_state="USERPAYING")), PaymentState.PAYING, S),
    (
        "unpaid, as it is really written",
        reply(
            200,
            {
                "amount": {"payer_currency": "CNY", "total": 1},
                "appid": APPID,
                "mchid": MCHID,
                "payer": {},
                "out_trade_no": NUMBER,
                "promotion_detail": [],
                "trade_state": "NOTPAY",
                "success_time": "",
                "transaction_id": "",
            },
        ),
        PaymentState.UNPAID,
        S,
    ),
    ("no such order", problem(404, "ORDER_NOT_EXIST"), PaymentState.NOT_FOUND, S),
    ("no such order, old spelling", problem(404, "ORDERNOTEXIST"), PaymentState.NOT_FOUND, S),
    ("no such order, unsigned", unsigned(404, {"code": "ORDER_NOT_EXIST"}), None, U),
    ("no such order, by a server in trouble", problem(500, "ORDER_NOT_EXIST"), None, U),
    ("no such page", unsigned(404, b"<html>404</html>"), None, U),
    ("a state nobody knows", reply(200, transaction(trade_state="ACCEPT")), None, U),
    ("another order", reply(200, transaction(out_trade_no="RC9999")), None, U),
    ("paid without amount", reply(200, transaction(amount={})), None, U),
    ("paid without currency", reply(200, transaction(amount={"total": 100})), None, U),
    ("paid a fraction", reply(200, transaction(amount={"total": 100.0, "currency": "CNY"})), None, U),
    ("paid less than nothing", reply(200, transaction(amount={"total": -1, "currency": "CNY"})), None, U),
    ("paid too much to count", reply(200, transaction(amount={"total": 2**63, "currency": "CNY"})), None, U),
    ("paid in no currency", reply(200, transaction(amount={"total": 1, "currency": "XXX"})), None, U),
    ("paid without the channel's number", reply(200, transaction(transaction_id="")), None, U),
    ("paid at no time", reply(200, transaction(success_time="2026-03-02 12:05:00")), None, U),
    ("paid in year 0", reply(200, transaction(success_time="0000-00-00T00:00:00+08:00")), None, U),
    ("a number with a zero byte", reply(200, transaction(transaction_id="42\x0000")), None, U),
    ("error on a question is never a no", problem(400, "PARAM_ERROR"), None, U),
    ("limited", problem(429, "FREQUENCY_LIMITED"), None, U),
    ("system error", problem(500, "SYSTEM_ERROR"), None, U),
]


@pytest.mark.parametrize(
    ("response", "state", "outcome"), [case[1:] for case in QUERIES], ids=[case[0] for case in QUERIES]
)
def test_query(response: HttpResponse, state: PaymentState | None, outcome: Outcome):
    result = query(response)
    assert result.outcome is outcome
    assert (result.value.state if result.value else None) is state


def test_a_paid_view_carries_what_must_be_compared():
    view = query(reply(200, transaction())).value
    assert (view.number, view.channel_ref) == (NUMBER, "4200001234202603021234567890")
    assert str(view.amount) == "1.00 CNY", "the order's total, not what coupons left to the payer"
    assert (view.mchid, view.appid, view.payer) == (MCHID, APPID, "oUpF8uMuAJO_M2pxb1Q9")
    assert view.paid_at.isoformat() == "2026-03-02T04:05:00+00:00"


CLOSES = [
    ("closed", reply(204), PaymentState.CLOSED, S),
    ("closed, unsigned", unsigned(204), None, U),
    ("closed with a body", reply(204, b"{}"), None, U),
    ("200 is not what was promised", reply(200, {}), None, U),
    ("paid meanwhile", problem(400, "ORDERPAID"), None, D),
    ("paid meanwhile, other spelling", problem(400, "ORDER_PAID"), None, D),
    ("closed before", problem(400, "ORDER_CLOSED"), None, U),
    ("never opened", problem(404, "ORDER_NOT_EXIST"), PaymentState.NOT_FOUND, S),
    ("the payer is paying", problem(400, "USERPAYING"), None, U),
    ("system error", problem(500, "SYSTEM_ERROR"), None, U),
]


@pytest.mark.parametrize(
    ("response", "state", "outcome"), [case[1:] for case in CLOSES], ids=[case[0] for case in CLOSES]
)
def test_close(response: HttpResponse, state: PaymentState | None, outcome: Outcome):
    result = close(response)
    assert result.outcome is outcome
    assert (result.value.state if result.value else None) is state


HANDOFFS = [
    (Method.NATIVE, QR, QrCode, 30 * 60),
    (Method.JSAPI, {"prepay_id": "wx201410272009395522657a690389285100"}, JsapiParams, 30 * 60),
    (Method.APP, {"prepay_id": "wx201410272009395522657a690389285100"}, AppParams, 30 * 60),
    (Method.H5, {"h5_url": "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1"}, Redirect, 300),
]


@pytest.mark.parametrize(("method", "content", "kind", "lifetime_s"), HANDOFFS)
def test_hand_off(method: Method, content: dict[str, str], kind: type, lifetime_s: int):
    handoff = create(reply(200, content), method).value
    assert isinstance(handoff, kind)
    assert (handoff.expires_at - NOW).total_seconds() == lifetime_s


def test_evidence_tells_who_said_what_but_not_who_paid():
    raw = query(reply(200, transaction())).raw
    assert raw.status == 200
    assert raw.request_id == "08F78BB5AF0610D302"
    assert len(raw.response_sha256) == 64
    assert "oUpF8" not in raw.response_body
    assert '"openid": "***"' in raw.response_body
    assert "\x00" not in query(reply(200, b"\x00\x00")).raw.response_body
    assert "WECHATPAY2" not in str(raw)


RESPONSES = st.builds(
    HttpResponse,
    st.sampled_from([200, 202, 204, 301, 400, 401, 404, 429, 500, 502]) | st.integers(100, 599),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-signature", "wechatpay-serial", "request-id"]
            )
            | st.text(),
            st.text(),
        )
    ).map(tuple),
    st.binary() | st.text().map(str.encode),
)


@given(RESPONSES)
def test_no_reply_breaks_the_parsers_and_none_without_signature_decides(response: HttpResponse):
    for result in (create(response), query(response), close(response)):
        assert result.outcome is Outcome.UNKNOWN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(sorted(transaction())), JSON), st.sampled_from([200, 204, 400, 404, 500]))
def test_no_signed_content_breaks_the_parsers(changed: dict[str, object], status: int):
    response = reply(status, transaction(**changed))
    for result in (create(response), query(response), close(response)):
        assert result.outcome is not Outcome.DECLINED
