"""`tael faults ledger | recharge`: break things on purpose and check that no money was lost or moved twice."""

from tael.cli import faults_ledger, faults_recharge

app = faults_ledger.app
app.command(faults_recharge.recharge)
