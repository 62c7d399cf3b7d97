"""`tael faults ledger | recharge | payments`: break things on purpose, then check the money."""

from tael.cli import faults_ledger, faults_payments, faults_recharge

app = faults_ledger.app
app.command(faults_recharge.recharge)
app.command(faults_payments.payments)
