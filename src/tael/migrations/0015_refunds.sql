-- Refunds (退款): each is an order of kind 'refund'; here stands what it gives back, where it is held, and how it is sent.

create table refund (
    book             bigint not null,
    order_no         text not null,
    payment_no       text not null,
    source           text not null check (source in ('channel', 'balance', 'suspense')),
    held_from        bigint not null,
    returned_to      bigint,
    payment_attempt  text,
    payment_ref      text,
    payment_total    bigint not null check (payment_total > 0),
    suspense_item    bigint,
    send_at          timestamptz not null,
    abandoned        boolean not null default false,
    primary key (book, order_no),
    constraint refund_goes_to_its_source check ((source = 'balance') = (returned_to is not null)),
    constraint refund_of_suspense_names_its_item check ((source = 'suspense') = (suspense_item is not null))
);
create unique index refund_one_per_item on refund (book, suspense_item)
    where suspense_item is not null and not abandoned;
create index refund_payment on refund (book, payment_no, order_no);

-- Money in suspense may be on its way back now; `refund_no` is the refund that takes it there.
alter table suspense_item
    add column refund_no text,
    drop constraint suspense_item_state_check,
    add constraint suspense_item_state_check check (state in ('proposed', 'refunding', 'resolved'));
