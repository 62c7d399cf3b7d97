"""Money that moves out: what amounts, fields, keys and headers each such address refuses."""

from attacks.arena import Case
from attacks.cases.amounts import NOT_JSON, RAW
from attacks.cases.fields import MASS
from attacks.cases.money import GOOD, KEYED, bare, money, money_raw
from attacks.cases.recharges import by, with_headers

_AMOUNTS = [what for what, good in GOOD.items() if "amount" in str(good) and "tiers" not in what]
_UNLISTED = {"state", "maker", "approved", "fee", "needed", "checker", "approved_by", "channel_ref", "attempt_no",
             "skip_risk", "force", "from_book"}  # fmt: skip
_REQUIRED = [
    (what, name)
    for what, good in GOOD.items()
    for name in good
    if name
    not in {
        "metadata",
        "holder",
        "evidence",
        "note",
        "reference",
        "expires_in_s",
        "priority",
        "single_max",
        "business_transfer_no",
        "payment_no",
    }
    and (what, name)
    not in {
        ("POST /v1/payments", "payer_account_id"),
        ("POST /v1/payees", "app_id"),
        ("POST /v1/withdrawals", "business_order_no"),
        ("POST /v1/adjustments", "currency"),
        ("POST /v1/adjustments", "legs"),
    }
]
_IDS = [
    ("POST /v1/payments", "account_id"),
    ("POST /v1/payments", "payer_account_id"),
    ("POST /v1/transfers", "from_account_id"),
    ("POST /v1/transfers", "to_account_id"),
    ("POST /v1/transfers", "from_hold"),
    ("POST /v1/transfer_batches", "from_account_id"),
    ("POST /v1/holds", "account_id"),
    ("POST /v1/withdrawals", "account_id"),
    ("POST /v1/withdrawals", "payee_id"),
    ("POST /v1/adjustments", "debit"),
    ("POST /v1/adjustments", "credit"),
    ("PUT /v1/routes", "merchant_account"),
]
_BAD_IDS = ["", "-1", "x", "9223372036854775808", "1" * 20, "١٢", "1\n", "1' or '1'='1", 1, None, ["1"], {"$ne": 1}]
_TEXTS = [
    ("POST /v1/payments", "description"),
    ("POST /v1/refunds", "reason"),
    ("POST /v1/transfers", "note"),
    ("POST /v1/transfer_batches", "note"),
    ("POST /v1/holds", "reason"),
    ("POST /v1/withdrawals", "description"),
    ("POST /v1/adjustments", "reason"),
    ("POST /v1/adjustments", "evidence"),
    ("POST /v1/payees", "holder"),
    ("POST /v1/payees", "number"),
    ("POST /v1/payments/{paid}/fulfil", "reference"),
    ("POST /v1/withdrawals/{waiting}/approve", "note"),
    ("POST /v1/risk/accounts/{other}/freeze", "reason"),
]
_HOSTILE = [
    ("V50", "NUL", "a\x00b"),
    ("V51", "escape", "\x1b[31mred"),
    ("V52", "right-to-left override", "a\u202eb"),
    ("V52", "zero-width space", "a\u200bb"),
]
_BAD_KEYS = [("", "empty"), ("x" * 256, "256 characters"), ("a b", "a space"), ("caf\xe9", "not ASCII")]
_MEDIA = ["text/plain", "application/x-www-form-urlencoded", "application/xml"]

CASES = [
    *(Case(id, f"{what}: {text}", money_raw(what, "amount", raw), 422, "invalid_amount")
      for what in _AMOUNTS for id, text, raw in RAW),
    *(Case(id, f"{what}: {text}", money_raw(what, "amount", raw), 400, "invalid_json")
      for what in _AMOUNTS for id, text, raw in NOT_JSON),
    *(Case("V23", f"{what}: amount given twice", money_raw(what, "amount", b'1,"amount":100'), 400, "invalid_json")
      for what in _AMOUNTS),
    *(Case("V22", f"{what}: {name} missing", money(what, **{name: ...}), 422, "missing_field")
      for what, name in _REQUIRED),
    *(Case("V44", f"{what}: mass assignment of {name!r}", money(what, **{name: value}), 422, "unknown_field")
      for what in GOOD for name, value in MASS if name not in GOOD[what] and (what, name) not in
      {("PUT /v1/routes", "state"), ("POST /v1/adjustments", "order_no")}),
    Case("V44", "POST /v1/adjustments about an order that is not there", money("POST /v1/adjustments",
         order_no="RC" + "0" * 30), 404, "order_not_found"),
    *(Case("V44", f"{what}: {name} of one's own choice", money(what, **{name: "x"}), 422, "unknown_field")
      for what in GOOD for name in sorted(_UNLISTED - {"state"})
      if (what, name) != ("PUT /v1/approvals/tiers", "needed")),
    *(Case("V44", f"{what}: {name} {value!r}", money(what, **{name: value}), 422, "invalid_field")
      for what, name in _IDS for value in _BAD_IDS
      if value is not None or name not in {"from_hold", "payer_account_id"}),
    *(Case(id, f"{what}: {odd} in {name}", money(what, **{name: text}), 422, "invalid_text")
      for what, name in _TEXTS for id, odd, text in _HOSTILE),
    *(Case("V40", f"{what}: currency {text!r}", money(what, currency=text), 422, "invalid_currency")
      for what, good in GOOD.items() if "currency" in str(good) for text in ("cny", "CNYY", "ＣＮＹ", None)),
    *(Case("K01", f"{what} without a key", with_headers(money(what), Idempotency_Key=""), 400,
           "idempotency_key_required") for what in KEYED),
    *(Case("K07", f"{what}: {text}", with_headers(money(what), Idempotency_Key=key), 400, "idempotency_key_required")
      for what in KEYED for key, text in _BAD_KEYS[1:]),
    *(Case("K05", f"{what}: the key of a recharge", with_headers(money(what), Idempotency_Key="taken"), 422,
           "idempotency_key_reused") for what in KEYED),
    *(Case("V46", f"{what} as {media}", with_headers(money(what), Content_Type=media), 415, "unsupported_media_type")
      for what in GOOD for media in _MEDIA),
    *(Case("V24", f"{what}: nothing in it", bare(what), 422, "missing_field")
      for what in GOOD if "approve" not in what and "fulfil" not in what and what != "POST /v1/adjustments"),
    *(Case("S01", f"{what} without a key", by("", money(what)), 401, "invalid_api_key") for what in GOOD),
    *(Case("S04", f"{what} with a {key} key", by(key, money(what)), 401, "invalid_api_key")
      for what in GOOD for key in ("expired", "revoked")),
    *(Case("S05", f"{what} with a live key", by("live", money(what)), 401, "wrong_mode") for what in GOOD),
    *(Case("S07", f"{what} with a publishable key", by("publishable", money(what)), 403, "insufficient_scope")
      for what in GOOD),
    *(Case("S08", f"{what} with a reading key", by("readonly", money(what)), 403, "insufficient_scope")
      for what in GOOD),
]  # fmt: skip
