"""Withdrawals (提现): money out to a member's own payee, paid at most once, whatever the channel says and when."""
