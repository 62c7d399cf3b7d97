"""Alipay's OpenAPI gateway as the merchant sees it: payments, refunds, transfers, notices, in certificate or public-key
mode.

One module per operation. Trade states that are reached here:

    (no trade) -> WAIT_BUYER_PAY -> TRADE_SUCCESS -> TRADE_FINISHED       opened, paid, time for refunds over
    WAIT_BUYER_PAY -> TRADE_CLOSED                                         closed, expired, cancelled
    TRADE_SUCCESS -> TRADE_CLOSED                                          refunded in full

and of transfers: SUCCESS, DEALING, WAIT_PAY, FAIL, CLOSED, REFUND.

Codes that are answered by rule: 10000; 10003; 40001; 40002 isv.invalid-app-id, isv.invalid-signature ...; 40006; 40004
with ACQ.TRADE_NOT_EXIST, ACQ.TRADE_HAS_SUCCESS, ACQ.TRADE_HAS_CLOSE, ACQ.TRADE_HAS_FINISHED, ACQ.TRADE_STATUS_ERROR,
ACQ.CONTEXT_INCONSISTENT, ACQ.TOTAL_FEE_EXCEED, ACQ.INVALID_PARAMETER, ACQ.PAYMENT_AUTH_CODE_INVALID,
ACQ.REFUND_AMT_NOT_EQUAL_TOTAL, ACQ.REASON_TRADE_REFUND_FEE_ERR, ACQ.DISCORDANT_REPEAT_REQUEST,
ACQ.SELLER_BALANCE_NOT_ENOUGH, PAYER_BALANCE_NOT_ENOUGH, PAYEE_NOT_EXIST, PAYEE_USER_INFO_ERROR,
PAYMENT_INFO_INCONSISTENCY, EXCEED_LIMIT_SM_AMOUNT, EXCEED_LIMIT_SM_MIN_AMOUNT, EXCEED_LIMIT_DM_MAX_AMOUNT,
EXCEED_LIMIT_MM_MAX_AMOUNT, INVALID_PARAMETER, ORDER_NOT_EXIST, CERT_NOT_EXIST, BILL_NOT_EXIST. Any other (20000, 40005,
ACQ.SYSTEM_ERROR, ACQ.BUYER_BALANCE_NOT_ENOUGH, ACQ.PAYMENT_FAIL ...) is answered when a fault asks for it.
"""
