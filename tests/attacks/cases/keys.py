"""Keys and authorization: who may ask, what may be asked, and objects of another company, which do not exist."""

from attacks.arena import Case, basic
from attacks.cases.recharges import account, ask, by, get, recharge, with_headers

_READS = ["/v1/recharges", "/v1/recharges/{order}", "/v1/accounts", "/v1/accounts/{account}", "/v1/events",
          "/v1/suspense_items", "/v1/webhook_endpoints"]  # fmt: skip
_WRONG = [("S02", "unknown"), ("S04", "expired"), ("S04", "revoked")]
_HEADERS = [
    "", "Bearer", "Bearer  x y", "Bearer x", "Bearer tael_test_sk_\xe9", "Basic", basic("admin:admin"),
    "Bearer null", "Bearer undefined",
    "Bearer tael_test_sk_", "Bearer " + "x" * 5000, "Bearer eyJhbGciOiJub25lIn0.eyJib29rIjoxfQ.", "Digest x",
    "Bearer tael_test_sk_aaaaaaaa_" + "a" * 43 + "_aaaaaa", "Bearer ' or 1=1--",
    "Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2Rldi9udWxsIn0.e30.x",
]  # fmt: skip
_FOREIGN = ["/v1/recharges/{foreign_order}", "/v1/recharges/{foreign_order}/qr.svg", "/v1/accounts/{foreign_account}",
            "/v1/accounts/{foreign_account}/entries"]  # fmt: skip
_SPOOFS = {"X_Forwarded_For": "127.0.0.1", "X_Real_IP": "127.0.0.1", "Forwarded": "for=127.0.0.1", "Host": "localhost",
           "X_Forwarded_Host": "localhost", "X_Original_URL": "/healthz", "X_Book": "1", "X_User_Id": "1",
           "X_Tael_Mode": "test"}  # fmt: skip

CASES = [
    *(Case("S01", f"no key: GET {path}", get(path, key=""), 401, "invalid_api_key") for path in _READS),
    Case("S01", "no key: a recharge", by("", recharge()), 401, "invalid_api_key"),
    Case("S01", "no key: an account", by("", account()), 401, "invalid_api_key"),
    Case("S01", "the key in the query", get("/v1/recharges?api_key=x&access_token=y", key=""), 401, "invalid_api_key"),
    *(Case(id, f"a key that is {key}", by(key, recharge()), 401, "invalid_api_key") for id, key in _WRONG),
    *(Case("S03", f"Authorization: {text[:40]}", with_headers(by("", recharge()), Authorization=text), 401,
           "invalid_api_key") for text in _HEADERS),
    Case("S05", "a live key on a test system", by("live", recharge()), 401, "wrong_mode"),
    Case("S07", "a publishable key on a secret endpoint", by("publishable", recharge()), 403, "insufficient_scope"),
    Case("S07", "a publishable key reads", by("publishable", get("/v1/recharges")), 403, "insufficient_scope"),
    Case("S08", "a reading key writes", by("readonly", recharge()), 403, "insufficient_scope"),
    Case("S08", "a reading key opens an account", by("readonly", account()), 403, "insufficient_scope"),
    Case("S08", "a reading key closes", by("readonly", ask("POST", "/v1/recharges/{order}/close")), 403,
         "insufficient_scope"),
    Case("S08", "a reading key asks for suspense", by("readonly", get("/v1/suspense_items")), 403,
         "insufficient_scope"),
    *(Case("S08", f"a key without permissions: GET {path}", by("powerless", get(path)), 403, "insufficient_scope")
      for path in _READS),
    *(Case("S26", f"{name}: {value}", with_headers(by("", recharge()), **{name: value}), 401, "invalid_api_key")
      for name, value in _SPOOFS.items()),
    *(Case("A01", f"GET {path}", get(path), 404, "") for path in _FOREIGN),
    *(Case("A01", f"POST /v1/recharges/{{foreign_order}}/{step}",
           ask("POST", f"/v1/recharges/{{foreign_order}}/{step}", b"{}"), 404, "order_not_found")
      for step in ("pay", "close")),
    Case("A05", "a recharge of the other company's account", by("foreign", recharge()), 422, "no_merchant_account"),
    Case("A26", "a debug route", get("/debug/pprof", key=""), 404, "not_found"),
]  # fmt: skip
