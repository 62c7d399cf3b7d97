"""A payout at WeChat (transfer bills): what is sent and refused, what each reply and notice proves."""

import base64
import contextlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from hypothesis import given
from hypothesis import strategies as st

from channels.otherside import (
    APPID,
    MCHID,
    NOW,
    NUMBER,
    PUBLIC_KEY_ID,
    account,
    certificate_list,
    key,
    notice,
    problem,
    reply,
    scripted,
    serial,
    signature_headers,
    unsigned,
    wired,
)
from tael.base.money import Money
from tael.base.wire import Wire
from tael.channels.contract import (
    AlipayUser,
    ErrorKind,
    MalformedNotification,
    Outcome,
    PayoutNotPossible,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    Retry,
    WechatUser,
)
from tael.channels.exchange import HttpResponse
from tael.channels.transport import Transport
from tael.channels.wechat import WechatPay
from tael.channels.wechat.codes import REASONS, reason_for
from tael.channels.wechat.notices import verify
from tael.channels.wechat.payouts import (
    build_cancel_payout,
    build_payout,
    build_query_payout,
    check,
    parse_cancel_payout,
    parse_payout,
    parse_query_payout,
)

NONCE = "0123456789abcdef0123456789abcdef"
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
SCENE = {
    "transfer_scene_id": "1000",
    "transfer_scene_report_infos": '[{"info_type": "活动名称", "info_content": "提现"}]',
}


def with_scene(**changes):
    """The usual account with a scene; a setting that is changed to None is missing."""
    settings = SCENE | {name: changes.pop(name) for name in list(changes) if name.startswith("transfer_")}
    plain = account(**changes)
    config = {name: value for name, value in (dict(plain.config) | settings).items() if value is not None}
    return replace(plain, config=config)


ACCOUNT = with_scene()
REQUEST = PayoutRequest(
    number=NUMBER, payee=WechatUser(OPENID, "张三"), amount=Money(5000, "CNY"), remark="提现",
    notify_url="https://pay.example.com/v1/notices/wechat/7",
)  # fmt: skip
REF = PayoutRef(NUMBER)


def sent_body(request: PayoutRequest = REQUEST, **changes) -> dict[str, object]:
    return json.loads(build_payout(with_scene(**changes), request, now=NOW, nonce=NONCE).body)


def opened(sealed: str, name: str = "platform") -> str:
    padding = OAEP(mgf=MGF1(SHA1()), algorithm=SHA1(), label=None)
    return key(name).decrypt(base64.b64decode(sealed), padding).decode()


def test_what_is_sent():
    built = build_payout(ACCOUNT, REQUEST, now=NOW, nonce=NONCE)
    said = json.loads(built.body)
    assert opened(said.pop("user_name")) == "张三"
    assert said == {
        "appid": APPID, "out_bill_no": NUMBER, "transfer_scene_id": "1000", "openid": OPENID,
        "transfer_amount": 5000, "transfer_remark": "提现",
        "notify_url": "https://pay.example.com/v1/notices/wechat/7",
        "transfer_scene_report_infos": [{"info_type": "活动名称", "info_content": "提现"}],
    }  # fmt: skip
    assert dict(built.headers)["Wechatpay-Serial"] == PUBLIC_KEY_ID, "the key that the name is sealed for"
    assert sent_body(transfer_recv_perception="现金奖励")["user_recv_perception"] == "现金奖励"


NAMES = [(29, "张三", False), (30, "张三", True), (30, None, False), (199_999, None, False), (200_000, "张三", True)]


@pytest.mark.parametrize(("minor", "name", "named"), NAMES)
def test_when_a_name_goes_along(minor: int, name: str | None, named: bool):
    request = replace(REQUEST, amount=Money(minor, "CNY"), payee=WechatUser(OPENID, name))
    assert ("user_name" in sent_body(request)) == named


NOT_POSSIBLE = [
    ("2,000 yuan without a name", {"amount": Money(200_000, "CNY"), "payee": WechatUser(OPENID)}, {}, "payee_name"),
    ("an empty name", {"amount": Money(200_000, "CNY"), "payee": WechatUser(OPENID, "")}, {}, "payee_name"),
    ("a name with signs", {"payee": WechatUser(OPENID, "张\n三")}, {}, "payee_name"),
    ("a name too long to seal", {"payee": WechatUser(OPENID, "张" * 65)}, {}, "payee_name"),
    ("nobody", {"payee": WechatUser("", "张三")}, {}, "payee"),
    ("a stranger", {"payee": AlipayUser("2088", "ALIPAY_USER_ID")}, {}, "payee"),
    ("a number with signs", {"number": "RC1_2"}, {}, "number"),
    ("a number too long", {"number": "R" * 33}, {}, "number"),
    ("nothing", {"amount": Money(0, "CNY")}, {}, "amount"),
    ("other money", {"amount": Money(100, "USD")}, {}, "currency"),
    ("no remark", {"remark": ""}, {}, "remark"),
    ("a long remark", {"remark": "字" * 33}, {}, "remark"),
    ("an address with a query", {"notify_url": "https://pay.example.com/n?a=1"}, {}, "notify_url"),
    ("no scene", {}, {"transfer_scene_id": None}, "transfer_scene_id"),
    ("no report", {}, {"transfer_scene_report_infos": None}, "transfer_scene_report_infos"),
    ("an empty report", {}, {"transfer_scene_report_infos": "[]"}, "transfer_scene_report_infos"),
    ("a report in other words", {}, {"transfer_scene_report_infos": '[{"a":1}]'}, "transfer_scene_report_infos"),
    ("no app", {}, {"appid": ""}, "merchant_account"),
]


@pytest.mark.parametrize(
    ("change", "settings", "param"), [case[1:] for case in NOT_POSSIBLE], ids=[case[0] for case in NOT_POSSIBLE]
)
def test_what_is_refused_before_it_is_stored(change: dict[str, object], settings: dict[str, object], param: str):
    ours, request = with_scene(**settings), replace(REQUEST, **change)
    for refuse in (check, lambda one, said: build_payout(one, said, now=NOW, nonce=NONCE)):
        with pytest.raises(PayoutNotPossible) as refused:
            refuse(ours, request)
        assert refused.value.param == param


def test_a_paused_account_starts_none_but_may_repeat_what_it_asked():
    with pytest.raises(PayoutNotPossible):
        check(with_scene(state="paused"), REQUEST)
    assert build_payout(with_scene(state="paused"), REQUEST, now=NOW, nonce=NONCE).body


def test_cancelling_signs_an_empty_body():
    built = build_cancel_payout(ACCOUNT, REF, now=NOW, nonce=NONCE)
    assert (built.target, built.body) == (f"/v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{NUMBER}/cancel", b"")


async def test_the_first_payout_in_certificate_mode_waits_for_the_certificate_and_seals_for_it():
    async def answer(request: bytes, writer) -> None:
        listing = request.startswith(b"GET /v3/certificates ")
        said = reply(200, certificate_list("first") if listing else accepted(), signer="first", name=serial("first"))
        writer.write(wired(said))

    transport = Transport(Wire(total_s=2))
    async with scripted(answer) as server:
        ours = with_scene(platform_keys="certificates", base_url=server.base_url)
        result = await WechatPay(transport).payout(ours, REQUEST, now=NOW)
        head, _, body = server.requests[1].partition(b"\r\n\r\n")
    transport.close()
    assert result.value.state is PayoutState.WAITING_FOR_PAYEE
    assert f"wechatpay-serial: {serial('first')}".encode() in head.replace(b"Wechatpay-Serial", b"wechatpay-serial")
    assert opened(json.loads(body)["user_name"], "first") == "张三"
    assert "张三" not in result.raw.request_body
    assert '"user_name":"***"' in result.raw.request_body


def accepted(**other: object) -> dict[str, object]:
    return {
        "out_bill_no": NUMBER, "transfer_bill_no": "1330000071100999991182020050700019480001",
        "create_time": "2026-03-02T12:05:00.120+08:00", "state": "WAIT_USER_CONFIRM",
        "package_info": "affffddafdfafddffda==",
    } | other  # fmt: skip


def bill(**other: object) -> dict[str, object]:
    """A bill as a query's answer writes it; a notice is the same without appid."""
    said = {
        "mch_id": MCHID, "appid": APPID, "out_bill_no": NUMBER,
        "transfer_bill_no": "1330000071100999991182020050700019480001", "state": "SUCCESS", "transfer_amount": 5000,
        "transfer_remark": "提现", "fail_reason": "", "openid": OPENID, "user_name": "c2VhbGVk",
        "create_time": "2026-03-02T12:05:00+08:00", "update_time": "2026-03-02T12:06:00+08:00",
    } | other  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def ask(response: HttpResponse):
    sent = build_payout(ACCOUNT, REQUEST, now=NOW, nonce=NONCE)
    return parse_payout(ACCOUNT, REQUEST, sent, response, now=NOW)


def query(response: HttpResponse):
    sent = build_query_payout(ACCOUNT, REF, now=NOW, nonce=NONCE)
    return parse_query_payout(ACCOUNT, REF, sent, response, now=NOW)


def cancel(response: HttpResponse):
    sent = build_cancel_payout(ACCOUNT, REF, now=NOW, nonce=NONCE)
    return parse_cancel_payout(ACCOUNT, REF, sent, response, now=NOW)


# the word, what an acceptance may conclude from it, what a query may
STATES = [
    ("ACCEPTED", PayoutState.PROCESSING, PayoutState.PROCESSING),
    ("PROCESSING", PayoutState.PROCESSING, PayoutState.PROCESSING),
    ("TRANSFERING", PayoutState.PROCESSING, PayoutState.PROCESSING),
    ("WAIT_USER_CONFIRM", PayoutState.WAITING_FOR_PAYEE, PayoutState.WAITING_FOR_PAYEE),
    ("CANCELING", PayoutState.CANCELLING, PayoutState.CANCELLING),
    ("SUCCESS", PayoutState.PROCESSING, PayoutState.PAID),
    ("FAIL", PayoutState.PROCESSING, PayoutState.FAILED),
    ("CANCELLED", PayoutState.PROCESSING, PayoutState.CANCELLED),
    ("TRANSFERRING", None, None),
    ("CLOSED", None, None),
    ("success", None, None),
]


@pytest.mark.parametrize(("word", "said", "proven"), STATES, ids=[case[0] for case in STATES])
def test_each_state(word: str, said: PayoutState | None, proven: PayoutState | None):
    for result, state in (
        (ask(reply(200, accepted(state=word))), said),
        (cancel(reply(200, accepted(state=word))), said),
        (query(reply(200, bill(state=word))), proven),
    ):
        assert (result.value.state if result.value else None) is state
        assert result.outcome is (Outcome.UNKNOWN if state is None else Outcome.SUCCEEDED)


def test_what_the_payee_needs_to_confirm():
    assert ask(reply(200, accepted())).value.confirmation == "affffddafdfafddffda=="
    assert ask(reply(200, accepted(state="PROCESSING"))).value.confirmation is None
    assert ask(reply(200, accepted(package_info="a\x00b"))).outcome is Outcome.UNKNOWN


def test_a_paid_bill_is_complete_or_unreadable():
    view = query(reply(200, bill())).value
    assert (view.amount, view.mchid, view.appid) == (Money(5000, "CNY"), MCHID, APPID)
    assert view.channel_ref == "1330000071100999991182020050700019480001"
    assert view.paid_at.isoformat() == "2026-03-02T04:06:00+00:00"
    for missing in ("mch_id", "transfer_bill_no", "transfer_amount", "state", "out_bill_no"):
        assert query(reply(200, bill(**{missing: None}))).outcome is Outcome.UNKNOWN, missing
    for wrong in ({"transfer_amount": 0}, {"transfer_amount": 1.5}, {"out_bill_no": "OTHER"}, {"update_time": "now"}):
        assert query(reply(200, bill(**wrong))).outcome is Outcome.UNKNOWN, wrong


K, R = ErrorKind, Retry
REFUSED = [
    ("older than five minutes", reply(200, bill(state="FAIL"), age_s=300), K.BAD_SIGNATURE, R.QUERY_FIRST),
    ("signed by another key", reply(200, bill(state="FAIL"), signer="stranger"), K.BAD_SIGNATURE, R.QUERY_FIRST),
    ("unsigned", unsigned(200, bill(state="FAIL")), K.BAD_SIGNATURE, R.QUERY_FIRST),
    ("another 2xx", reply(202, bill(state="FAIL")), K.UNKNOWN, R.QUERY_FIRST),
    ("garbage", reply(200, b"{"), K.UNKNOWN, R.QUERY_FIRST),
    ("400 parameter", problem(400, "PARAM_ERROR"), K.INVALID, R.QUERY_FIRST),
    ("400 invalid: perhaps the number is used", problem(400, "INVALID_REQUEST"), K.UNKNOWN, R.QUERY_FIRST),
    ("400 app", problem(400, "APPID_MCHID_NOT_MATCH"), K.INVALID, R.QUERY_FIRST),
    ("401", problem(401, "SIGN_ERROR"), K.AUTH, R.QUERY_FIRST),
    ("403 authority", problem(403, "NO_AUTH"), K.AUTH, R.QUERY_FIRST),
    ("403 balance", problem(403, "NOT_ENOUGH"), K.INSUFFICIENT_CHANNEL_BALANCE, R.SAME_REQUEST),
    ("403 rule", problem(403, "RULE_LIMIT"), K.DECLINED, R.QUERY_FIRST),
    ("429", problem(429, "FREQUENCY_LIMITED"), K.RATE_LIMITED, R.SAME_REQUEST),
    ("500", problem(500, "SYSTEM_ERROR"), K.UNKNOWN, R.QUERY_FIRST),
    ("502 html", unsigned(502, b"<html>"), K.UNAVAILABLE, R.QUERY_FIRST),
    ("a code nobody listed", problem(400, "SOMETHING_NEW"), K.UNKNOWN, R.QUERY_FIRST),
]


@pytest.mark.parametrize(
    ("response", "kind", "retry"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_no_refusal_ends_a_payout(response: HttpResponse, kind: ErrorKind, retry: Retry):
    for result in (ask(response), query(response), cancel(response)):
        assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
        assert (result.error.kind, result.error.retry) == (kind, retry)


def test_no_such_bill_is_an_answer_to_a_question_only_and_means_pending():
    result = query(problem(404, "NOT_FOUND"))
    assert (result.outcome, result.value.state) == (Outcome.SUCCEEDED, PayoutState.NOT_FOUND)
    assert ask(problem(404, "NOT_FOUND")).outcome is Outcome.UNKNOWN
    assert cancel(problem(404, "NOT_FOUND")).outcome is Outcome.UNKNOWN
    assert query(unsigned(404, {"code": "NOT_FOUND"})).outcome is Outcome.UNKNOWN


WHY = [
    ("DAY_RECEIVED_QUOTA_EXCEED", K.QUOTA_EXCEEDED, True),
    ("MONTH_RECEIVED_QUOTA_EXCEED", K.QUOTA_EXCEEDED, True),
    ("DAY_RECEIVED_COUNT_EXCEED", K.QUOTA_EXCEEDED, True),
    ("TRANSFER_QUOTA_EXCEED", K.QUOTA_EXCEEDED, True),
    ("REALNAME_ACCOUNT_RECEIVED_QUOTA_EXCEED", K.PAYEE, False),
    ("NAME_NOT_CORRECT", K.PAYEE, False),
    ("REAL_NAME_CHECK_FAIL", K.PAYEE, False),
    ("OPENID_INVALID", K.PAYEE, False),
    ("PRODUCT_AUTH_CHECK_FAIL", K.AUTH, True),
    ("PAYER_ACCOUNT_ABNORMAL", K.AUTH, True),
    ("NOT_ENOUGH", K.INSUFFICIENT_CHANNEL_BALANCE, True),
    ("TRANSFER_RISK", K.DECLINED, False),
    ("OVERDUE_CLOSE", K.DECLINED, False),
    ("WHO_KNOWS", K.DECLINED, False),
]


@pytest.mark.parametrize(("word", "kind", "other_account"), WHY, ids=[case[0] for case in WHY])
def test_why_a_payout_failed(word: str, kind: ErrorKind, other_account: bool):
    reason = query(reply(200, bill(state="FAIL", fail_reason=word))).value.reason
    assert (reason.code, reason.kind, reason.kind.account_level) == (word, kind, other_account)


def test_reasons_that_say_nothing():
    assert query(reply(200, bill(fail_reason="NAME_NOT_CORRECT"))).value.reason is None, "it was paid"
    assert query(reply(200, bill(state="FAIL"))).value.reason is None
    assert query(reply(200, bill(state="FAIL", fail_reason="a\x00b"))).value.reason.code == "unreadable_reason"


def test_every_reason_of_the_table_can_be_reached():
    for reason in REASONS:
        assert all(reason_for(word.replace("*", "X")) is reason for word in reason.words), reason


def heard(content: dict[str, object], event: str = "MCHTRANSFER.BILL.FINISHED", kind: str = "mch_payment"):
    raw = notice(content, event=event, kind=kind, bound="mch_payment")
    return verify(ACCOUNT, signature_headers(raw), raw, now=NOW)


ENDS = [("SUCCESS", PayoutState.PAID), ("FAIL", PayoutState.FAILED), ("CANCELLED", PayoutState.CANCELLED)]


@pytest.mark.parametrize(("word", "state"), ENDS)
def test_a_notice(word: str, state: PayoutState):
    event = heard(bill(state=word, appid=None, fail_reason="NAME_NOT_CORRECT" if word == "FAIL" else None))
    view = event.subject
    assert (event.kind, view.state, view.number) == ("MCHTRANSFER.BILL.FINISHED", state, NUMBER)
    assert (view.amount, view.mchid, view.appid) == (Money(5000, "CNY"), MCHID, None)
    assert (view.reason is not None) == (word == "FAIL")


BAD = [
    ("not finished", bill(state="TRANSFERING"), "MCHTRANSFER.BILL.FINISHED", "mch_payment"),
    ("calls itself a payment", bill(), "MCHTRANSFER.BILL.FINISHED", "transaction"),
    ("is sent as a payment", bill(), "TRANSACTION.SUCCESS", "transaction"),
    ("is another event", bill(), "MCHTRANSFER.BILL.STARTED", "mch_payment"),
    ("names no merchant", bill(mch_id=None), "MCHTRANSFER.BILL.FINISHED", "mch_payment"),
    ("names no amount", bill(transfer_amount=None), "MCHTRANSFER.BILL.FINISHED", "mch_payment"),
]


@pytest.mark.parametrize(("content", "event", "kind"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_notice_that_proves_nothing(content: dict[str, object], event: str, kind: str):
    with pytest.raises(MalformedNotification):
        heard(content, event, kind)


WORD = st.none() | st.text() | st.integers() | st.sampled_from(["SUCCESS", "FAIL", "CNY", NUMBER, MCHID])
NAMES_OF_FIELDS = (
    "out_bill_no", "transfer_bill_no", "state", "mch_id", "transfer_amount", "update_time", "fail_reason",
    "out_refund_no", "out_trade_no", "refund_id", "refund_status", "success_time", "mchid",
)  # fmt: skip
AMOUNT = {"amount": WORD | st.fixed_dictionaries({"refund": WORD, "currency": WORD})}
FIELDS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES_OF_FIELDS, WORD) | AMOUNT)


@given(
    st.sampled_from(["MCHTRANSFER.BILL.FINISHED", "REFUND.SUCCESS", "REFUND.CLOSED", "REFUND.ABNORMAL"]),
    FIELDS | st.binary(min_size=1),
)
def test_no_content_of_a_genuine_notice_breaks_the_opening(event: str, content: object):
    with contextlib.suppress(MalformedNotification):
        told = heard(content, event, kind="")
        assert told.subject.amount.minor > 0
        assert told.subject.number
