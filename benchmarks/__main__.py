"""`python -m benchmarks [ROW]`: all rows, or one. Every figure is a ratio measured in one run on this machine."""

import asyncio
import importlib
import sys

ROWS = {
    "ledger-concurrent": "ledger_concurrent", "ledger-batch": "ledger_batch", "disk": "disk", "recharge": "recharge",
    "demo": "demo", "transfer": "transfer", "withdrawal": "withdrawal",
}  # fmt: skip

wanted = sys.argv[1:] or list(ROWS)
if unknown := set(wanted) - set(ROWS):
    sys.exit(f"unknown row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
for row in wanted:
    asyncio.run(importlib.import_module(f"benchmarks.{ROWS[row]}").main())
