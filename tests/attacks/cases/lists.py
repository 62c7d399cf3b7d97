"""Lists and paths: pages, cursors, filters, ids that cannot be, parameters that come twice or that nobody knows."""

from attacks.arena import Case
from attacks.cases.recharges import ask, get

_LISTS = ["/v1/recharges", "/v1/accounts", "/v1/suspense_items", "/v1/events", "/v1/accounts/{account}/entries"]
_LIMITS = ["0", "-1", "101", "1000000000", "1e2", "abc", "", "١", "1 OR 1=1", "99999999999999999999", "0x10"]
_CURSORS = ["abc", "-1", "", "1.5", "9223372036854775808", "1" * 20, "1%0a", "%D9%A1", "1' or 1=1--", "%ff"]
_CURSOR_OF = [("/v1/recharges", "starting_after"), ("/v1/recharges", "ending_before"),
              ("/v1/accounts", "starting_after"), ("/v1/suspense_items", "starting_after"),
              ("/v1/events", "starting_after"), ("/v1/events", "ending_before")]  # fmt: skip
_TEXTS = [("/v1/recharges", "state"), ("/v1/recharges", "account_id"),
          ("/v1/recharges", "created[gte]"), ("/v1/accounts", "owner"), ("/v1/accounts/{account}", "at"),
          ("/v1/events", "subject")]  # fmt: skip
_INSTANTS = ["0000-00-00", "2026-02-31T00:00:00Z", "9999-99-99T00:00:00Z", "2026-01-01T00:00:00%2B25:00", "abc", "",
             "2026-01-01T00:00:00", "NaN", "1e400", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00",
             "2026-13-01T00:00:00Z", "999999999999999999"]  # fmt: skip
_ORDERS = ["0", "x", "%00", "RC%00", "%ED%A0%80", "..%2f..%2fetc%2fpasswd", "'%20or%20'1'='1", "RC" + "0" * 30,
           "rc" + "0" * 30, "R" * 33, "{order}%20", "{order}%0a", "%F0%9F%92%A9", "x" * 2000]  # fmt: skip
_ACCOUNTS = ["0", "-1", "x", "%00", "9223372036854775808", "1" * 20, "999", "%D9%A1%D9%A2", "1.0", "0x1", "1%0a",
             "{account}%20"]  # fmt: skip
_PATHS = ["/v1", "/v1/", "/v2/recharges", "//v1/recharges", "/v1/recharges/", "/v1/../v1/recharges%2f", "/V1/recharges",
          "/v1/recharges;x=1", "/.env", "/.git/config", "/v1/accounts/", "/admin", "/debug", "/%00"]  # fmt: skip


CASES = [
    *(Case("V62", f"limit {value!r} of {path}", get(f"{path}?limit={value}"), 422, "invalid_field")
      for path in _LISTS[:4] for value in _LIMITS),
    Case("V62", "limit 10^9 of entries", get(f"{_LISTS[4]}?limit=1000000000"), 422, "invalid_field"),
    *(Case("V62", f"{name} {value[:24]!r} of {path}", get(f"{path}?{name}={value}"), 400, "bad_cursor")
      for path, name in _CURSOR_OF for value in _CURSORS),
    *(Case("V62", f"after {value!r} of entries", get(f"{_LISTS[4]}?after={value}"), 400, "bad_cursor")
      for value in ("-1", "abc", "9223372036854775808")),
    *(Case("V61", f"created[{side}] {value!r}", get(f"/v1/recharges?created[{side}]={value}"), 422, "invalid_field")
      for side in ("gte", "lt") for value in _INSTANTS),
    *(Case("V61", f"at {value!r}", get(f"/v1/accounts/{{account}}?at={value}"), 422, "invalid_field")
      for value in _INSTANTS),
    *(Case("V62", f"state {value!r}", get(f"/v1/recharges?state={value}"), 422, "invalid_field")
      for value in ("Paid", "", "paid,closed", "' or 1=1")),
    *(Case("V62", f"account_id {value!r}", get(f"/v1/recharges?account_id={value}"), 422, "invalid_field")
      for value in ("x", "", "%D9%A1", "9" * 20, "9223372036854775808")),
    *(Case("V62", f"owner {value!r}", get(f"/v1/accounts?owner={value}"), 422, "invalid_field")
      for value in ("x", "", "0", "%D9%A1", "9" * 19)),
    *(Case("V50", f"NUL in {query}", get(f"{path}?{query}=%00"), 422, "invalid_field") for path, query in _TEXTS),
    Case("V50", "NUL in a cursor", get("/v1/recharges?starting_after=%00"), 400, "bad_cursor"),
    Case("V52", "a direction change in a subject", get("/v1/events?subject=%E2%80%AE"), 422, "invalid_field"),
    *(Case("S25", f"{path} with limit twice", get(f"{path}?limit=1&limit=2"), 400, "ambiguous_request")
      for path in _LISTS),
    Case("S25", "a parameter twice, once escaped", get("/v1/recharges?limit=1&l%69mit=2"), 400, "ambiguous_request"),
    Case("S25", "twice beside a list parameter", get("/v1/recharges?limit=1&limit=2&x[in]=1"), 400,
         "ambiguous_request"),
    Case("S25", "both directions at once", get("/v1/recharges?starting_after=1&ending_before=2"), 400,
         "ambiguous_request"),
    *(Case("A02", f"{path}?{query}, a filter nobody offers", get(f"{path}?{query}"), 422, "unknown_field")
      for path in _LISTS for query in ("merchant_id=2", "book=2")),
    *(Case("V63", f"order {value[:24]!r}", get(f"/v1/recharges/{value}"), 404, "") for value in _ORDERS),
    *(Case("V63", f"{step} order {value[:24]!r}", ask("POST", f"/v1/recharges/{value}/{step}", b"{}"), 404, "")
      for step in ("pay", "close") for value in ("%00", "x", "RC" + "0" * 30)),
    Case("V63", "the code of an order that is not", get("/v1/recharges/%00/qr.svg"), 404, ""),
    *(Case("V63", f"account {value[:24]!r}", get(f"/v1/accounts/{value}"), 404, "") for value in _ACCOUNTS),
    *(Case("V63", f"entries of account {value!r}", get(f"/v1/accounts/{value}/entries"), 404, "")
      for value in ("0", "x", "%00", "999")),
    *(Case("V63", f"path {path}", get(path), 404, "not_found") for path in _PATHS),
    Case("V63", "an event that cannot be", get("/v1/events/%00"), 404, "not_found"),
]  # fmt: skip
