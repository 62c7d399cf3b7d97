"""Payment channels: one contract, one outgoing path, one folder per channel. Knows nothing of orders or the ledger."""
