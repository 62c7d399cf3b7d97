"""Defects found in other programs that speak with WeChat Pay, each by name: ours must not have them."""

import json

import pytest

from channels.otherside import (
    MCHID,
    NOW,
    NUMBER,
    account,
    certificate_list,
    notice,
    problem,
    reply,
    serial,
    signature_headers,
    transaction,
)
from tael.channels.contract import (
    BadNotification,
    Operation,
    Outcome,
    PaymentRef,
    PaymentState,
    PayoutRef,
    PayoutState,
    Retry,
)
from tael.channels.exchange import HttpResponse
from tael.channels.wechat.certificates import build_certificates, parse_certificates
from tael.channels.wechat.codes import RULES, normal, rule_for
from tael.channels.wechat.keys import keys_of
from tael.channels.wechat.notices import verify
from tael.channels.wechat.payments import build_query, parse_query
from tael.channels.wechat.payouts import build_query_payout, parse_query_payout

NONCE = "0123456789abcdef0123456789abcdef"
ACCOUNT = account()


def query(response: HttpResponse):
    ref = PaymentRef("RC1030KA1B2202603020405060010042")
    return parse_query(ACCOUNT, ref, build_query(ACCOUNT, ref, now=NOW, nonce=NONCE), response, now=NOW)


def test_an_hour_old_notice_is_accepted():
    raw = notice()
    with pytest.raises(BadNotification):
        verify(ACCOUNT, signature_headers(raw, age_s=3600), raw, now=NOW)


def test_a_number_with_a_bar_is_signed_unencoded_and_sent_encoded():
    built = build_query(ACCOUNT, PaymentRef("A|B*C-1"), now=NOW, nonce=NONCE)
    assert built.target.startswith("/v3/pay/transactions/out-trade-no/A%7CB%2AC-1?mchid=")


def test_a_malformed_serial_escapes_as_value_error():
    raw = notice()
    headers = [(name, "zz" if name == "wechatpay-serial" else value) for name, value in signature_headers(raw)]
    with pytest.raises(BadNotification):
        verify(ACCOUNT, headers, raw, now=NOW)


def test_missing_headers_escape_as_bare_exceptions():
    with pytest.raises(BadNotification):
        verify(ACCOUNT, [], notice(), now=NOW)


def test_an_unknown_serial_clears_the_known_certificates():
    ours, raw = account(platform_keys="certificates"), notice()
    sent = build_certificates(ours, now=NOW, nonce=NONCE)
    listed = reply(200, certificate_list("first"), signer="first", name=serial("first"))
    keys_of(ours).keyring.replace(parse_certificates(ours, sent, listed, now=NOW).value, now=NOW)
    with pytest.raises(BadNotification):
        verify(ours, signature_headers(raw, signer="second", name=serial("second")), raw, now=NOW)
    known = signature_headers(raw, signer="first", name=serial("first"))
    assert verify(ours, known, raw, now=NOW).subject.state is PaymentState.PAID


def test_every_unknown_serial_causes_a_download():
    keyring = keys_of(account(platform_keys="certificates")).keyring
    keyring.attempted_at = NOW
    keyring.missed = True
    assert not keyring.due(now=NOW)


def test_an_error_body_is_taken_for_a_success():
    result = query(problem(401, "SIGN_ERROR"))
    assert (result.value, result.outcome) == (None, Outcome.UNKNOWN)


@pytest.mark.parametrize("code", ["SYSTEM_ERROR", "SYSTEMERROR", "FREQUENCY_LIMITED", "BANK_ERROR", "NEVER_SEEN"])
def test_a_failing_query_marks_the_payment_failed(code: str):
    for status in (400, 403, 429, 500):
        result = query(problem(status, code))
        assert result.outcome is Outcome.UNKNOWN
        assert result.error.retry in (Retry.QUERY_FIRST, Retry.SAME_REQUEST)


def test_a_misspelt_state_hangs_or_fails():
    assert query(reply(200, transaction(trade_state="CLOSE"))).outcome is Outcome.UNKNOWN


def test_one_spelling_of_a_code_only():
    for spelling in ("ORDER_NOT_EXIST", "ORDERNOTEXIST", "order_not_exist"):
        assert rule_for(spelling, Operation.QUERY).final[:2] == [Operation.QUERY, Operation.CLOSE]


def test_an_unlisted_code_is_a_failure():
    for operation in Operation:
        assert not rule_for("SOMETHING_NEW", operation).final


def test_a_float_amount_passes_through():
    assert query(reply(200, transaction(amount={"total": 99.999, "currency": "CNY"}))).outcome is Outcome.UNKNOWN


def test_every_rule_of_the_table_can_be_reached():
    for rule in RULES:
        operations = rule.operations or list(Operation)
        assert all(rule_for(code.replace("*", "ED"), operations[-1]) is rule for code in rule.codes), rule
        assert set(rule.final) <= set(operations), rule
        assert all(normal(code) for code in rule.codes)


def test_nothing_but_the_listed_codes_is_final_for_a_new_payment():
    final = {code for rule in RULES if Operation.CREATE in rule.final for code in rule.codes}
    assert final == {
        "PARAM_ERROR", "APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS", "ORDER_CLOSED", "RULE_LIMIT", "ACCOUNT_ERROR",
    }  # fmt: skip


def test_a_brace_inside_a_string_breaks_the_reader():
    raw = json.dumps(json.loads(notice()) | {"summary": "}{"}).encode()
    assert verify(ACCOUNT, signature_headers(raw), raw, now=NOW).subject.state is PaymentState.PAID


def payout_query(response: HttpResponse):
    ref = PayoutRef(NUMBER)
    return parse_query_payout(ACCOUNT, ref, build_query_payout(ACCOUNT, ref, now=NOW, nonce=NONCE), response, now=NOW)


def bill(state: str) -> dict[str, object]:
    return {
        "mch_id": MCHID, "out_bill_no": NUMBER, "transfer_bill_no": "1330000071100999991182020050700019480001",
        "state": state, "transfer_amount": 100, "update_time": "2026-03-02T12:06:00+08:00",
    }  # fmt: skip


def test_cancelled_payouts_hang_because_the_word_is_spelt_with_one_l():
    """Another program waits for CANCELED, which never comes; the word is CANCELLED."""
    assert payout_query(reply(200, bill("CANCELLED"))).value.state is PayoutState.CANCELLED
    assert payout_query(reply(200, bill("CANCELED"))).outcome is Outcome.UNKNOWN


def test_a_payout_that_is_being_cancelled_counts_as_failed():
    """It may still be paid. The word is CANCELING; a spelling that was never promised concludes nothing."""
    assert payout_query(reply(200, bill("CANCELING"))).value.state is PayoutState.CANCELLING
    assert payout_query(reply(200, bill("CANCELLING"))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("code", ["SYSTEM_ERROR", "SYSTEMERROR", "FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "NEW"])
def test_a_failing_query_marks_the_payout_failed_and_it_is_paid_twice(code: str):
    for status in (400, 403, 404, 429, 500):
        result = payout_query(problem(status, code))
        assert (result.outcome, result.value) == (Outcome.UNKNOWN, None)
        assert result.error.retry in (Retry.QUERY_FIRST, Retry.SAME_REQUEST)


def test_no_code_is_final_for_money_that_goes_out():
    outgoing = {Operation.REFUND, Operation.PAYOUT, Operation.CANCEL_PAYOUT}
    assert not [rule.codes for rule in RULES if outgoing & set(rule.final)]
