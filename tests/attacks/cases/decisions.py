"""Who may let money out, and what may be let out: approvals, refunds, withdrawals, transfers, holds, other companies.

Every object is real, in the state that its name says; see vault.py.
"""

from attacks.arena import Case
from attacks.cases.money import bare, money
from attacks.cases.recharges import by, get
from tael.base.money import MAX_MINOR

_TRANSFER, _BATCH, _HOLD = "POST /v1/transfers", "POST /v1/transfer_batches", "POST /v1/holds"
_PAY, _REFUND, _WITHDRAW, _ADJUST = ("POST /v1/payments", "POST /v1/refunds", "POST /v1/withdrawals",
                                     "POST /v1/adjustments")  # fmt: skip
_ABSENT = "999999999999999999"
_NO_ORDER = "PA1" + "0" * 29

_OURS = [
    ("GET /v1/payments/{paid}", "order_not_found"), ("GET /v1/payments/{paid}/qr.svg", "order_not_found"),
    ("GET /v1/payments/{paid}/refunds", "order_not_found"), ("GET /v1/payments/{paid}/fulfilment", "order_not_found"),
    ("GET /v1/refunds/{refund}", "order_not_found"), ("GET /v1/transfers/{transfer}", "transfer_not_found"),
    ("GET /v1/transfer_batches/{batch}", "transfer_batch_not_found"), ("GET /v1/holds/{hold}", ""),
    ("GET /v1/payees/{payee}", "payee_not_found"), ("GET /v1/withdrawals/{waiting}", "order_not_found"),
    ("GET /v1/adjustments/{proposed}", "adjustment_not_found"), ("GET /v1/approvals/{approval}", "approval_not_found"),
    ("GET /v1/lookup/{paid}", "nothing_found"), ("GET /v1/lookup/{waiting}", "nothing_found"),
    ("GET /v1/lookup/{rich}", "nothing_found"), ("GET /v1/lookup/{payee}", "nothing_found"),
    ("GET /v1/lookup/{approval}", "nothing_found"),
]  # fmt: skip
_OUR_STEPS = [
    ("POST /v1/payments/{open}/pay", "order_not_found"), ("POST /v1/payments/{open}/close", "order_not_found"),
    ("POST /v1/payments/{paid}/fulfil", "order_not_found"), ("POST /v1/holds/{hold}/release", ""),
    ("POST /v1/withdrawals/{waiting}/approve", "order_not_found"),
    ("POST /v1/withdrawals/{waiting}/reject", "order_not_found"),
    ("POST /v1/withdrawals/{waiting}/cancel", "order_not_found"),
    ("POST /v1/adjustments/{proposed}/approve", ""), ("POST /v1/adjustments/{proposed}/reject", ""),
    ("POST /v1/adjustments/{proposed}/cancel", ""), ("POST /v1/alerts/{alert}/acknowledge", "alert_not_found"),
    ("DELETE /v1/payees/{payee}", "payee_not_found"),
]  # fmt: skip
_ENDED = [
    *((f"/v1/withdrawals/{{{name}}}/{verb}", who) for name in ("cancelled", "rejected") for verb, who in
      (("approve", "full"), ("reject", "full"))),
    ("/v1/withdrawals/{sent}/approve", "full"), ("/v1/withdrawals/{sent}/reject", "full"),
    ("/v1/withdrawals/{sent}/cancel", "wang"), ("/v1/withdrawals/{approved}/approve", "full"),
    ("/v1/withdrawals/{approved}/approve", "li"), ("/v1/withdrawals/{approved}/reject", "full"),
    *((f"/v1/adjustments/{{{name}}}/{verb}", "full") for name in ("posted", "refused", "withdrawn")
      for verb in ("approve", "reject")),
    ("/v1/adjustments/{posted}/cancel", "wang"), ("/v1/adjustments/{refused}/cancel", "wang"),
    ("/v1/adjustments/{posted}/approve", "li"),
]  # fmt: skip
_SCOPELESS = ["/v1/withdrawals/{waiting}/approve", "/v1/withdrawals/{waiting}/reject",
              "/v1/adjustments/{proposed}/approve", "/v1/adjustments/{proposed}/reject"]  # fmt: skip
_OTHERS = "by another key of the one who asked"

APPROVALS = [
    *(Case("A13", f"POST {path} by a clerk", bare(f"POST {path}", "clerk"), 403, "insufficient_scope")
      for path in _SCOPELESS),
    *(Case("A11", f"POST {path} by the one who asked", bare(f"POST {path}", "wang"), 403, "self_approval")
      for path in _SCOPELESS),
    *(Case("A11", f"POST {path} {_OTHERS}", bare(f"POST {path}", "wang_again"), 403, "self_approval")
      for path in _SCOPELESS),
    *(Case("A16", f"POST {path}: not what was shown", bare(f"POST {path}", "li", payload_sha256="0" * 64), 409,
           "payload_changed") for path in _SCOPELESS),
    *(Case("A11", f"POST {path} with another amount", bare(f"POST {path}", "li", amount=1), 422, "unknown_field")
      for path in _SCOPELESS),
    *(Case("A17", f"POST {path} by {who}", bare(f"POST {path}", who), 409) for path, who in _ENDED),
    Case("A11", "tiers that nobody proposed, approved", bare(
        "POST /v1/approvals/tiers/approve", "li", kind="withdrawal", currency="CNY"), 404, "approval_not_found"),
    Case("A11", "tiers that nobody proposed, rejected", bare(
        "POST /v1/approvals/tiers/reject", "li", kind="withdrawal", currency="CNY"), 404, "approval_not_found"),
    Case("A11", "tiers of a kind that is never approved", money("PUT /v1/approvals/tiers", kind="payments"), 422,
         "unknown_kind"),
    *(Case("A11", f"tiers {tiers}", money("PUT /v1/approvals/tiers", tiers=tiers), 422)
      for tiers in ([], [{"from_amount": 1, "needed": 1}], [{"from_amount": 0, "needed": 99}],
                    [{"from_amount": -1, "needed": 0}], [{"from_amount": 0, "needed": -1}],
                    [{"from_amount": 0, "needed": 2}, {"from_amount": 1, "needed": 1}],
                    [{"from_amount": 0, "needed": 0}, {"from_amount": 0, "needed": 1}])),
    Case("A19", "an adjustment without a reason", money(_ADJUST, reason=" "), 422, "reason_required"),
    Case("A19", "an adjustment without legs", money(_ADJUST, legs=[]), 422, "legs_refused"),
    Case("A19", "an adjustment onto itself", money(_ADJUST, credit="{rich}"), 422, "legs_refused"),
    Case("A19", "21 legs", money(_ADJUST, legs=[{"debit": "{rich}", "credit": "{other}", "amount": 1}] * 21), 422),
    Case("V25", "legs whose sum is too large", money(
        _ADJUST, legs=[{"debit": "{rich}", "credit": "{other}", "amount": MAX_MINOR}] * 20), 422, "invalid_amount"),
    Case("A19", "an adjustment of a closed account", money(_ADJUST, debit="{closed}"), 422, "legs_refused"),
    Case("A19", "an adjustment across currencies", money(_ADJUST, credit="{dollars}"), 422, "legs_refused"),
    Case("A07", "an adjustment of the other company's account", money(_ADJUST, debit="{foreign_account}"), 404,
         "account_not_found"),
    Case("A19", "a reversal with legs", money(_ADJUST, reverses="{posted}"), 422, "legs_refused"),
    *(Case("A19", f"the reversal of an adjustment that is {name}", bare(_ADJUST, reason="r", reverses=f"{{{name}}}"),
           409, "adjustment_not_reversible") for name in ("proposed", "refused", "withdrawn")),
    Case("A19", "the reversal of nothing", bare(_ADJUST, reason="r", reverses=_NO_ORDER), 404, "adjustment_not_found"),
    Case("A07", "the reversal of the other company's", bare(_ADJUST, "foreign", reason="r", reverses="{posted}"), 404,
         "adjustment_not_found"),
]  # fmt: skip

OTHERS = [
    *(Case("A01", f"{what} by the other company", by("foreign", get(what.removeprefix("GET "))), 404, code)
      for what, code in _OURS),
    *(Case("A01", f"{what} by the other company", bare(what, "foreign"), 404, code) for what, code in _OUR_STEPS),
    Case("A04", "a refund by the other company", by("foreign", money(_REFUND)), 404, "order_not_found"),
    Case("A04", "a refund by the other company, by business number", by("foreign", money(
        _REFUND, payment_no=..., business_order_no="goods-paid")), 404, "order_not_found"),
    Case("A05", "a withdrawal by the other company", by("foreign", money(_WITHDRAW)), 404, "account_not_found"),
    Case("A05", "a withdrawal from the other company's account", money(_WITHDRAW, account_id="{foreign_account}"), 404,
         "account_not_found"),
    Case("A05", "a withdrawal from another member's account", money(_WITHDRAW, account_id="{other}"), 422,
         "payee_not_owners"),
    Case("A05", "a withdrawal to another member's payee", money(_WITHDRAW, payee_id="{others_payee}"), 422,
         "payee_not_owners"),
    Case("A05", "a withdrawal to the other company's payee", money(_WITHDRAW, payee_id="{foreign_payee}"), 404,
         "payee_not_found"),
    Case("A05", "a withdrawal to an account instead of a payee", money(_WITHDRAW, payee_id="{other}"), 404,
         "payee_not_found"),
    Case("A05", "a withdrawal from the company's own account", money(_WITHDRAW, account_id="{company}"), 404,
         "account_not_found"),
    Case("A05", "a transfer by the other company", by("foreign", money(_TRANSFER)), 404, "account_not_found"),
    Case("A05", "a batch by the other company", by("foreign", money(_BATCH)), 404, "account_not_found"),
    *(Case("A05", f"{what.removeprefix('POST ')} {name} the other company's account", money(
        what, **{f"{name}_account_id": "{foreign_account}"}), 404, "account_not_found")
      for what in (_TRANSFER, _BATCH) for name in ("from", "to")),
    Case("A05", "a transfer from the company's own account", money(_TRANSFER, from_account_id="{company}"), 422,
         "account_cannot_transfer"),
    Case("A05", "a transfer to the company's own account", money(_TRANSFER, to_account_id="{company}"), 422,
         "account_cannot_transfer"),
    Case("A05", "a hold by the other company", by("foreign", money(_HOLD)), 404, "account_not_found"),
    Case("A05", "a hold on the company's own account", money(_HOLD, account_id="{company}"), 422,
         "account_cannot_be_held"),
    Case("A05", "a payment from the other company's balance", money(_PAY, payer_account_id="{foreign_account}"), 404,
         "account_not_found"),
    Case("A05", "a payment from the company's own account", money(_PAY, payer_account_id="{company}"), 422,
         "account_cannot_pay"),
    Case("A07", "a payment through somebody's merchant account", money(
        _PAY, channel="wechat", method="native", payer_account_id=..., merchant_account="1"), 422,
        "no_merchant_account"),
    Case("A07", "a route of our merchant account by the other company", by("foreign", money("PUT /v1/routes")), 404,
         "merchant_account_not_found"),
    Case("A07", "a route of no merchant account", money("PUT /v1/routes", merchant_account=_ABSENT), 404,
         "merchant_account_not_found"),
    *(Case("A05", f"{verb} of our account by the other company", bare(
        f"POST /v1/risk/accounts/{{other}}/{verb}", "foreign", reason="r"), 404, "account_not_found")
      for verb in ("freeze", "unfreeze")),
    *(Case("A05", f"{verb} of the company's own account", bare(
        f"POST /v1/risk/accounts/{{company}}/{verb}", reason="r"), 404, "account_not_found")
      for verb in ("freeze", "unfreeze")),
    Case("A01", "our transfers listed by the other company", by("foreign", get(
        "/v1/transfers?account_id={rich}&direction=sideways")), 422, "invalid_field"),
]  # fmt: skip

BUSINESS = [
    Case("R02", "a refund above what was paid", money(_REFUND, amount=101), 422, "refund_exceeds"),
    Case("R02", "a refund above what is left", money(_REFUND, payment_no="{partly}", amount=41), 422, "refund_exceeds"),
    Case("R02", "a refund of 10^15", money(_REFUND, amount=10**15), 422, "refund_exceeds"),
    Case("R05", "a refund of an unpaid payment", money(_REFUND, payment_no="{open}"), 409, "order_not_refundable"),
    Case("R05", "a refund of a closed payment", money(_REFUND, payment_no="{shut}"), 409, "order_not_refundable"),
    Case("R05", "a refund of a refunded payment", money(_REFUND, payment_no="{refunded}"), 422, "refund_exceeds"),
    Case("R05", "a refund of a refund", money(_REFUND, payment_no="{refund}"), 404, "order_not_found"),
    Case("R05", "a refund of an unpaid recharge", money(_REFUND, payment_no="{order}"), 409, "order_not_refundable"),
    Case("R05", "a refund of a withdrawal", money(_REFUND, payment_no="{sent}"), 404, "order_not_found"),
    Case("R05", "a refund of nothing", money(_REFUND, payment_no=_NO_ORDER), 404, "order_not_found"),
    Case("R02", "a refund in dollars", money(_REFUND, currency="USD"), 422, "currency_differs"),
    Case("R04", "a refund number that has another refund", money(_REFUND, business_refund_no="back-partly"), 409,
         "duplicate_order"),
    Case("R04", "a refund that names its payment twice", money(_REFUND, business_order_no="goods-paid"), 422,
         "missing_field"),
    Case("R04", "a refund that names no payment", money(_REFUND, payment_no=...), 422, "missing_field"),
    *(Case("R04", f"a refund that says where the money goes: {name}", money(_REFUND, **{name: "{rich}"}), 422,
           "unknown_field") for name in ("account_id", "payee_id", "to_account_id", "card", "openid")),
    *(Case("V63", f"a refund of suspense item {id!r}", bare(f"POST /v1/suspense_items/{id}/refund"), 404)
      for id in (_ABSENT, "0", "x", "-1", "%00", "1" * 30, "%D9%A1", "{paid}", "{rich}")),
    Case("R01", "a withdrawal above the balance", money(_WITHDRAW, amount=1_000_000_000), 422),
    Case("R03", "a withdrawal of money for spending only", money(_WITHDRAW, account_id="{gift}"), 422,
         "not_withdrawable"),
    Case("R03", "a withdrawal in another currency", money(_WITHDRAW, currency="USD"), 422, "not_withdrawable"),
    Case("R03", "a withdrawal to an unbound payee", money(_WITHDRAW, payee_id="{unbound}"), 409, "payee_unbound"),
    Case("R03", "a withdrawal from a frozen account", money(
        _WITHDRAW, account_id="{frozen}", payee_id="{frozen_payee}"), 409, "account_unusable"),
    Case("R13", "a transfer to itself", money(_TRANSFER, to_account_id="{rich}"), 422, "transfer_to_self"),
    Case("R13", "a transfer to a closed account", money(_TRANSFER, to_account_id="{closed}"), 409),
    Case("R13", "a transfer from a closed account", money(_TRANSFER, from_account_id="{closed}"), 409),
    Case("R13", "a transfer from a frozen account", money(_TRANSFER, from_account_id="{frozen}"), 409),
    Case("R13", "a transfer into another currency", money(_TRANSFER, to_account_id="{dollars}"), 422,
         "account_cannot_transfer"),
    Case("R13", "a gift turned into money", money(_TRANSFER, from_account_id="{gift}"), 422, "account_cannot_transfer"),
    Case("R13", "a transfer above the balance", money(_TRANSFER, amount=10**9), 422, "insufficient_balance"),
    Case("R13", "a transfer to nobody", money(_TRANSFER, to_account_id=_ABSENT), 404, "account_not_found"),
    Case("R13", "a transfer number that has a transfer", money(_TRANSFER, business_transfer_no="moved"), 409,
         "duplicate_transfer"),
    Case("R13", "a transfer from nobody's hold", money(_TRANSFER, from_hold=_ABSENT), 404),
    Case("R13", "a transfer from a used hold", money(_TRANSFER, from_hold="{used_hold}"), 409),
    Case("R13", "a transfer above its hold", money(_TRANSFER, from_hold="{hold}", amount=101), 422, "exceeds_hold"),
    Case("R13", "a transfer from another's hold", money(
        _TRANSFER, from_hold="{hold}", from_account_id="{other}", to_account_id="{rich}"), 422, "exceeds_hold"),
    Case("V25", "a batch whose sum is more than 64 bits", money(_BATCH, transfers=[{
        "from_account_id": "{rich}", "to_account_id": "{other}", "amount": MAX_MINOR, "currency": "CNY"}] * 500), 422,
         "invalid_amount"),
    Case("V25", "an empty batch", money(_BATCH, transfers=[]), 422, "invalid_field"),
    Case("V25", "a batch of 501", money(_BATCH, transfers=[{
        "from_account_id": "{rich}", "to_account_id": "{other}", "amount": 1, "currency": "CNY"}] * 501), 422,
         "invalid_field"),
    Case("V25", "a batch whose last transfer is to itself", money(_BATCH, transfers=[
        {"from_account_id": "{rich}", "to_account_id": to, "amount": 1, "currency": "CNY"}
        for to in ("{other}", "{other}", "{rich}")]), 422, "transfer_to_self"),
    Case("V25", "a batch that is atomic by the word", money(_BATCH, atomic="true"), 422, "invalid_field"),
    Case("R13", "a hold above the balance", money(_HOLD, amount=10**9), 422, "insufficient_balance"),
    Case("R13", "a hold on a closed account", money(_HOLD, account_id="{closed}"), 409),
    Case("R13", "a hold for ever and a day", money(_HOLD, expires_in_s=366 * 86_400 + 1), 422, "invalid_field"),
    Case("R13", "a used hold released", bare("POST /v1/holds/{used_hold}/release"), 409),
    *(Case("V63", f"hold {id!r} released", bare(f"POST /v1/holds/{id}/release"), 404 if len(id) < 19 else 422)
      for id in ("0", "x", "-1", "%00", _ABSENT)),
    Case("R17", "a payment from its own receiver", money(_PAY, payer_account_id="{other}"), 422, "account_cannot_pay"),
    Case("R17", "a payment above the payer's balance", money(_PAY, amount=10**9), 422, "insufficient_balance"),
    Case("R17", "a payment from a closed account", money(_PAY, payer_account_id="{closed}"), 409),
    Case("R17", "a payment from a frozen account", money(_PAY, payer_account_id="{frozen}"), 409),
    Case("R17", "a payment to a closed account", money(_PAY, account_id="{closed}"), 422, "account_cannot_receive"),
    Case("R17", "a payment from nobody", money(_PAY, payer_account_id=...), 422, "missing_field"),
    Case("R17", "a channel payment from a balance too", money(_PAY, channel="wechat", method="native"), 422,
         "invalid_field"),
    Case("R17", "a balance payment by a method too", money(_PAY, method="native"), 422, "invalid_field"),
    Case("K11", "a business order number that has a payment", money(_PAY, business_order_no="goods-paid"), 409,
         "duplicate_order"),
    Case("R05", "a paid payment, to be paid again", bare("POST /v1/payments/{paid}/pay"), 409, "order_not_payable"),
    Case("R05", "a closed payment, to be paid", bare("POST /v1/payments/{shut}/pay"), 409, "order_not_payable"),
    Case("R05", "a paid payment, to be closed", bare("POST /v1/payments/{paid}/close"), 409, "order_not_payable"),
    Case("R16", "another amount at pay", bare("POST /v1/payments/{open}/pay", amount=1), 422, "unknown_field"),
    Case("R16", "a recharge paid as a payment", bare("POST /v1/payments/{order}/pay"), 404, "order_not_found"),
    Case("R16", "a payment paid as a recharge", bare("POST /v1/recharges/{open}/pay"), 404, "order_not_found"),
    Case("R16", "a withdrawal closed as a payment", bare("POST /v1/payments/{waiting}/close"), 404, "order_not_found"),
    Case("R16", "a payment cancelled as a withdrawal", bare("POST /v1/withdrawals/{open}/cancel"), 404,
         "order_not_found"),
    Case("R16", "an unpaid payment fulfilled", bare("POST /v1/payments/{open}/fulfil"), 409, "fulfilment_too_early"),
    Case("R16", "a payment fulfilled that waits for nothing", bare("POST /v1/payments/{partly}/fulfil"), 409,
         "fulfilment_not_expected"),
    *(Case("V62", f"route with {name} {value!r}", money("PUT /v1/routes", **{name: value}), 422)
      for name, value in (("single_max", 0), ("single_max", -1), ("single_max", 2**63), ("daily_limit", 1.5),
                          ("daily_limit", "1"), ("priority", -1), ("payee_daily_count", 0), ("state", "open"),
                          ("operation", "steal"), ("single_min", 200), ("cooling_until", None), ("label", "x"))),
    *(Case("V62", f"explain with {name} {value!r}", bare("POST /v1/routes/explain", **{
        "operation": "payout", "amount": 1, "currency": "CNY", name: value}), 422)
      for name, value in (("amount", 0), ("amount", -1), ("amount", True), ("only", "x"), ("only", "9" * 19),
                          ("exclude", ["x"]), ("exclude", ["1"] * 101), ("channels", []), ("payee", ""),
                          ("book", 2), ("operation", "x"))),
    *(Case("V62", f"a dry run with {name} {value!r}", bare("POST /v1/risk/dry_run", **{
        "operation": "withdrawal", "version": 1, name: value}), 422)
      for name, value in (("days", 0), ("days", 91), ("version", 0), ("version", 2**31), ("content", {}),
                          ("operation", "../x"))),
    Case("V62", "a dry run of rules that are not", bare("POST /v1/risk/dry_run", operation="withdrawal", version=77),
         404, "rule_set_not_found"),
    *(Case("V63", f"rules 77 {verb}", bare(f"POST /v1/risk/rule_sets/withdrawal/77/{verb}"), 404)
      for verb in ("shadow", "activate", "retire")),
    *(Case("V63", f"alert {id!r} acknowledged", bare(f"POST /v1/alerts/{id}/acknowledge"), 404)
      for id in ("0", "x", "-1", "%00", "9" * 19, _ABSENT)),
    *(Case("V63", f"look-up of {text[:24]!r}", get(f"/v1/lookup/{text}"), 404)
      for text in ("%00", "x" * 2000, "' or 1=1--", "%E2%80%AE", "*", "%25", "_", "..%2f..%2fetc%2fpasswd",
                   "9" * 40, "-1", "%F0%9F%92%A9", "{foreign_order}", "{foreign_account}")),
]  # fmt: skip
