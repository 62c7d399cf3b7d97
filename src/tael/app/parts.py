"""The use cases of one process, put together once. Order matters only where one needs another."""

from dataclasses import dataclass

from tael.adjustments import Adjustments
from tael.app.secret import master_key
from tael.base.clock import Clock
from tael.base.db import Database
from tael.base.ids import Ids
from tael.base.sealing import Sealer
from tael.base.settings import Settings
from tael.callbacks import Callbacks, Policy
from tael.callbacks import Transport as CallbackTransport
from tael.channels import registry
from tael.channels.accounts import MerchantAccounts
from tael.channels.pace import SharedPace
from tael.channels.transport import Transport as ChannelTransport
from tael.guard import KeyRing
from tael.ledger import Ledger
from tael.payments.chart import Chart
from tael.payments.from_balance import BalancePayments
from tael.payments.handover import Handover
from tael.payments.notices import Listeners, Notices
from tael.payments.platform import Platform
from tael.payments.recover import Recovery
from tael.payments.settlement import Settlement
from tael.payments.start import PayIns
from tael.refunds import Refunds
from tael.risk import Risk
from tael.transfers.holds import Holds
from tael.transfers.transfer import Transfers
from tael.withdrawals.approve import Decisions
from tael.withdrawals.payees import Payees
from tael.withdrawals.payout import Payouts
from tael.withdrawals.withdraw import Withdrawals


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that answers requests or works in the background."""

    settings: Settings
    secret: bytes
    platform: Platform
    key_ring: KeyRing
    callbacks: Callbacks
    settlement: Settlement
    handover: Handover
    pay_ins: PayIns
    balance_payments: BalancePayments
    recovery: Recovery
    refunds: Refunds
    risk: Risk
    payees: Payees
    withdrawals: Withdrawals
    decisions: Decisions
    payouts: Payouts
    adjustments: Adjustments
    transfers: Transfers
    holds: Holds
    notices: Notices

    async def close(self) -> None:
        """Finish what is under way; the first to close are those that still hand work to the others."""
        for part in (
            self.notices, self.pay_ins, self.balance_payments, self.handover, self.withdrawals, self.decisions,
            self.payouts, self.refunds, self.transfers, self.callbacks.transport,
        ):  # fmt: skip
            await part.close()


async def put_together(settings: Settings, db: Database, clock: Clock) -> Parts:
    """The parts of a process on `db`; takes a node number for its ids."""
    ids, secret, ledger, risk = await Ids.lease(db, clock.now), master_key(settings), Ledger(), Risk()
    accounts = MerchantAccounts(registry.connectors(ChannelTransport(pace=SharedPace(db))))
    platform = Platform(db, ids, ledger, Chart(), accounts, settings, clock.now)
    callbacks = Callbacks(
        db, ids, clock.now, secret, CallbackTransport(Policy(settings.mode, allow_loopback=settings.allow_loopback))
    )
    settlement, handover = Settlement(platform), Handover(platform)
    payees = Payees(db, ids, Sealer(secret), clock.now)
    payouts, refunds = Payouts(platform, payees, risk), Refunds(platform)
    return Parts(
        settings=settings, secret=secret, platform=platform,
        key_ring=KeyRing(db, pepper=secret, mode=settings.mode, now=clock.now), callbacks=callbacks,
        settlement=settlement, handover=handover, pay_ins=PayIns(platform, handover),
        balance_payments=BalancePayments(platform), recovery=Recovery(platform, settlement, handover), refunds=refunds,
        risk=risk, payees=payees, withdrawals=Withdrawals(platform, payees, risk),
        decisions=Decisions(db, ids, ledger, risk, clock.now), payouts=payouts,
        adjustments=Adjustments(db, ids, ledger, clock.now), transfers=Transfers(platform), holds=Holds(platform),
        notices=Notices(platform, settlement, Listeners(refunds.settle_notices, payouts.settle_notices)),
    )  # fmt: skip
