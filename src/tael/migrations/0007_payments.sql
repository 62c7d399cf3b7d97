-- Payments: evidence of what channels said, and money that arrived without a place to go.

-- A verified notice, kept before anything is done with it.
create table channel_notice (
    book              bigint not null,
    id                bigint not null,
    merchant_account  bigint not null,
    event_id          text not null,
    attempt_no        text not null,
    state             text not null,
    sha256            text not null,
    raw               bytea not null,
    received_at       timestamptz not null,
    verdict           text,
    primary key (book, id)
);
create index channel_notice_attempt on channel_notice (book, attempt_no, id);

-- Every exchange with a channel about an attempt, redacted.
create table channel_exchange (
    book        bigint not null,
    id          bigint not null,
    attempt_no  text not null,
    operation   text not null,
    outcome     text not null,
    exchange    jsonb not null,
    at          timestamptz not null,
    primary key (book, id)
);
create index channel_exchange_attempt on channel_exchange (book, attempt_no, id);

-- Money that arrived at the channel and that its order cannot take (暂收): booked to suspense, with a proposal.
create table suspense_item (
    book              bigint not null,
    id                bigint not null,
    merchant_account  bigint not null,
    channel_ref       text not null,
    order_no          text not null,
    attempt_no        text not null,
    reason            text not null check (reason in ('late_payment', 'paid_twice', 'amount_mismatch',
                                                      'account_closed')),
    amount            bigint not null check (amount > 0),
    currency          text not null,
    proposal          text not null check (proposal in ('refund')),
    state             text not null check (state in ('proposed', 'resolved')),
    created_at        timestamptz not null,
    primary key (book, id),
    unique (book, merchant_account, channel_ref)
);
create index suspense_item_order on suspense_item (book, order_no);
