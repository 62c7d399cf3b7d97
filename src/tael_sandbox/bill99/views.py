"""What 99bill's controls say and hear, as types: the server encodes them, the Python client decodes them."""

from msgspec import Struct

from tael_sandbox.bill99.orders import Status


class Bill99MerchantView(Struct, frozen=True):
    """All that a member needs to call the sandbox, with the files that hold it."""

    member_code: str
    base_url: str
    settle_s: int
    balance_minor: int
    private_key_pem: str
    private_key_path: str
    certificate_pem: str
    certificate_path: str
    bill99_certificate_pem: str
    bill99_certificate_path: str


class Bill99OrderView(Struct, frozen=True):
    """One order. Times are as 99bill writes them; amounts are fen. ``code``: why it failed or came back."""

    member_code: str
    order_id: str
    order_seq_id: str
    status: Status
    amount_minor: int
    bank_name: str
    bank_acct_id: str
    credit_name: str
    remark: str
    accepted_at: str
    moved_at: str
    code: str


class NewBill99Merchant(Struct, frozen=True, forbid_unknown_fields=True):
    """A member to create; what is left out is made up."""

    member_code: str = ""
    settle_s: int = 5
    balance_minor: int = 0


class ChangeBill99Merchant(Struct, frozen=True, forbid_unknown_fields=True):
    """What is different from now on, for orders that come then."""

    settle_s: int


class TouchOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Name an order by number or 99bill's number and say how it goes on."""

    name: str
    member_code: str = ""
    code: str = ""


class TopUpMember(Struct, frozen=True, forbid_unknown_fields=True):
    """Money from outside for a member (default: the first)."""

    amount_minor: int
    member_code: str = ""
