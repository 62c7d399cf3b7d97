"""WeChat Pay API v3 as the merchant sees it: orders, queries, closing, certificates, notifications.

One module per operation; refunds, transfers and bills get one each when they come. Trade states that are reached here:

    NOTPAY -> USERPAYING -> SUCCESS -> REFUND          scan, pay, refund (by hand, through the control interface)
    NOTPAY | USERPAYING -> CLOSED                      the merchant closes, or the order expires
    NOTPAY | USERPAYING -> PAYERROR | REVOKED | NOTPAY declined

Codes that are answered by rule: 400 PARAM_ERROR, APPID_MCHID_NOT_MATCH, MCH_NOT_EXISTS, ORDERPAID, ORDER_CLOSED;
401 SIGN_ERROR; 403 NO_AUTH, OUT_TRADE_NO_USED; 404 ORDER_NOT_EXIST, RESOURCE_NOT_EXISTS; 202 USERPAYING. Any other code
(429 FREQUENCY_LIMITED, 500 SYSTEM_ERROR, 403 RULE_LIMIT ...) is answered when a fault asks for it.
"""
