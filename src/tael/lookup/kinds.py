"""What the tables are asked for by exact name, because their indexes begin with it."""

from typing import Final

from tael import adjustments, withdrawals
from tael.payments.fulfilment import FULFIL
from tael.payments.kinds import KINDS
from tael.payments.settlement import RECOVERY
from tael.refunds import REFUNDS
from tael.withdrawals.opening import PAYOUT

MONEY_IN: Final = tuple(KINDS)
ORDER_KINDS: Final = (*MONEY_IN, withdrawals.KIND, "refund")
QUEUES: Final = (RECOVERY, PAYOUT, REFUNDS, FULFIL)
APPROVALS: Final = (withdrawals.KIND, adjustments.KIND)
JUDGED: Final = (*ORDER_KINDS, "transfer", adjustments.KIND)
