"""99bill's single payout to a bank card (付款到银行卡) as the member sees it: pay and query, sealed both ways.

Order states that are reached here:

    (no order) -> 101 -> 111       accepted; paid after the member's `settle_s` of sandbox time, or by hand
                  101 -> 112       failed, the money is back
                         111 -> 114  returned by the bank days later, the money is back

Codes that merchants' public code agrees on: 0000 accepted, 0004 bad seal or signature, 6001 not enough balance, Q0018
no order in the asked time. The sandbox's own, because no public list is known: 0001 no such member, 0002 the request is
wrong, 0003 the number was used with other content, 9999 the system is busy (by fault only), B0001 the bank refused (the
usual reason of a failed or returned order).

A refusal is not sealed. 99bill tells nothing by itself: there are no notices.
"""
