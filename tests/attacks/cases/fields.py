"""Fields: what nobody asked for, what has another type, text that disguises itself, currencies that are not."""

from attacks.arena import Case
from attacks.cases.recharges import account, ask, raw, recharge

_CURRENCIES = ["cny", "Cny", "XXX", "CN", "CNYY", "", " CNY", "CNY\n", "ＣＮＹ", "¥", "СNY", "156"]
MASS = [
    ("status", "paid"), ("state", "paid"), ("merchant_id", "2"), ("book", 2), ("balance", 10**9), ("fee_rate", "0"),
    ("order_no", "RC" + "0" * 30), ("id", "1"), ("paid_at", "2026-01-01T00:00:00Z"), ("rate", "0.5"), ("mode", "live"),
    ("notify_url", "http://127.0.0.1:9/"), ("__proto__", {"amount": 1}), ("__class__", "x"), ("Amount", 1),
    ("amount ", 1), ("request_key", "k"), ("expires_at", "9999-12-31T00:00:00Z"),
]  # fmt: skip
_TEXT = [
    ("V50", "NUL", "a\x00b"), ("V51", "bell", "a\x07b"), ("V51", "escape", "\x1b[31mred"), ("V51", "delete", "a\x7fb"),
    ("V51", "a C1 control", "a\x9bb"), ("V52", "right-to-left override", "invoice\u202egpj.exe"),
    ("V52", "an isolate", "a\u2066b"), ("V52", "right-to-left mark", "a\u200fb"),
    ("V52", "Arabic letter mark", "a\u061cb"), ("V52", "zero-width space", "pay\u200bpal"),
    ("V52", "word joiner", "pay\u2060pal"), ("V52", "byte order mark", "\ufeffx"),
    ("V52", "an invisible tag character", "a\U000e0041b"), ("V52", "a soft hyphen", "pay\u00adpal"),
    ("V52", "a line separator", "a\u2028b"),
]  # fmt: skip
_ACCOUNT_IDS = [
    ("absent", "999999999999999999", 404, "account_not_found"), ("0", "0", 404, "account_not_found"),
    ("2^63", "9223372036854775808", 422, "invalid_field"), ("19 nines", "9" * 19, 422, "invalid_field"),
    ("20 digits", "1" * 20, 422, "invalid_field"), ("negative", "-1", 422, "invalid_field"),
    ("empty", "", 422, "invalid_field"), ("Arabic digits", "١٢٣", 422, "invalid_field"),
    ("full-width digits", "１２３", 422, "invalid_field"), ("a quote", "1' or '1'='1", 422, "invalid_field"),
    ("a line end", "1\n", 422, "invalid_field"), ("a number", 1, 422, "invalid_field"),
    ("null", None, 422, "invalid_field"), ("a list", ["1"], 422, "invalid_field"),
    ("an object", {"$ne": 1}, 422, "invalid_field"),
]  # fmt: skip
_REQUIRED = ["account_id", "currency", "channel", "method", "description"]
_VALUES = [
    ("channel", "unknown"), ("channel", "WeChat"), ("channel", "../wechat"), ("channel", ""), ("method", "Native"),
    ("method", "cash"), ("description", ""), ("description", "x" * 128), ("business_order_no", "a b"),
    ("business_order_no", ""), ("business_order_no", "x" * 65), ("business_order_no", "a\n"),
    ("business_order_no", "订单"), ("merchant_account", "x"), ("merchant_account", "9" * 19),
    ("payer_id", "a/b"), ("payer_ip", "127.0.0.1; rm"), ("metadata", []), ("metadata", {"n": 1}),
    ("metadata", {"n": None}), ("metadata", {"n": {"m": "x"}}),
    ("metadata", {str(number): "" for number in range(51)}),
    ("metadata", {str(number): "" for number in range(1000)}), ("metadata", {"k" * 41: "v"}),
    ("metadata", {"k": "v" * 501}),
]  # fmt: skip
_OWNERS = ["0", "-1", "01", "1" * 19, "", "abc", "١", "1\n", "1.0", " 1", 1, None, True]


def _channel_code(name: str, value: object) -> str:
    return "no_merchant_account" if (name, value) == ("channel", "unknown") else "invalid_field"


CASES = [
    *(Case("V40", f"currency {text!r}", recharge(currency=text), 422, "invalid_currency") for text in _CURRENCIES),
    Case("V40", "currency null", recharge(currency=None), 422, "invalid_currency"),
    Case("V42", "a currency the channel does not take", recharge(currency="USD"), 422, "payment_not_possible"),
    *(Case("V43", f"{name} missing", recharge(**{name: ...}), 422, "missing_field") for name in _REQUIRED),
    Case("V43", "an unknown field", recharge(colour="red"), 422, "unknown_field"),
    Case("V43", "an unknown field of an account", account(colour="red"), 422, "unknown_field"),
    *(Case("V44", f"mass assignment of {name!r}", recharge(**{name: value}), 422, "unknown_field")
      for name, value in MASS),
    *(Case("V44", f"mass assignment of an account's {name!r}", account(**{name: value}), 422, "unknown_field")
      for name, value in [("balance", 100), ("book", 2), ("kind", "internal"), ("limits", "none"), ("id", "1")]),
    *(Case(id, f"{what} in a description", recharge(description=text), 422, "invalid_text")
      for id, what, text in _TEXT),
    Case("V50", "NUL in a name", recharge(metadata={"a\x00": "b"}), 422, "invalid_text"),
    Case("V50", "NUL in a value", recharge(metadata={"a": "\x00"}), 422, "invalid_text"),
    Case("V50", "NUL in an unknown field's name", recharge(**{"a\x00": 1}), 422, "invalid_text"),
    Case("V52", "half a surrogate pair", raw("description", b'"\\ud800"'), 422, "invalid_text"),
    *(Case("V44", f"account_id: {what}", recharge(account_id=value), status, code)
      for what, value, status, code in _ACCOUNT_IDS),
    *(Case("V45", f"{name}: {str(value)[:20]!r}, {len(str(value))} characters", recharge(**{name: value}), 422,
           _channel_code(name, value))
      for name, value in _VALUES),
    *(Case("V45", f"owner {value!r}", account(owner=value), 422, "invalid_field") for value in _OWNERS),
    Case("V41", "an account in XXX", account(currency="XXX"), 422, "invalid_currency"),
    Case("V41", "an account in cny", account(currency="cny"), 422, "invalid_currency"),
    Case("V45", "pay by an unknown method", ask("POST", "/v1/recharges/{order}/pay", b'{"method":"cash"}'),
         422, "invalid_field"),
    Case("V44", "another amount at pay", ask("POST", "/v1/recharges/{order}/pay", b'{"amount":1}'),
         422, "unknown_field"),
    Case("A07", "somebody's merchant account", recharge(merchant_account="1"), 422, "no_merchant_account"),
]  # fmt: skip
