"""WeChat Pay API v3 as the merchant sees it: orders, refunds, transfers to users, certificates, notifications.

Records are in ``orders``, ``refunds`` and ``transfers``, what merchants ask in one module per operation. States that
are reached here:

    order      NOTPAY -> USERPAYING -> SUCCESS -> REFUND          scan, pay, refund
               NOTPAY | USERPAYING -> CLOSED                      the merchant closes, or the order expires
               NOTPAY | USERPAYING -> PAYERROR | REVOKED | NOTPAY declined
    refund     PROCESSING -> SUCCESS | CLOSED | ABNORMAL
    transfer   ACCEPTED | PROCESSING | WAIT_USER_CONFIRM | TRANSFERING -> SUCCESS | FAIL
               any of these -> CANCELING -> CANCELLED

A transfer fails by rule with NAME_NOT_CORRECT, TRANSFER_QUOTA_EXCEED, DAY_RECEIVED_QUOTA_EXCEED,
DAY_RECEIVED_COUNT_EXCEED and, when nobody confirms it for a day, OVERDUE_CLOSE; by hand with any word.

Codes that are answered by rule: 400 PARAM_ERROR, INVALID_REQUEST, APPID_MCHID_NOT_MATCH, MCH_NOT_EXISTS, ORDERPAID,
ORDER_CLOSED; 401 SIGN_ERROR; 403 NO_AUTH, NOT_ENOUGH, OUT_TRADE_NO_USED; 404 ORDER_NOT_EXIST, RESOURCE_NOT_EXISTS,
NOT_FOUND; 202 USERPAYING. Any other code
(429 FREQUENCY_LIMITED, 500 SYSTEM_ERROR, 403 RULE_LIMIT ...) is answered when a fault asks for it.
"""
