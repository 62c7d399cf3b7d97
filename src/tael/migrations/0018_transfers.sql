-- Transfers (转账) between accounts of a book, and what a business freezes (冻结) to spend it later.

-- A row, its posting and its event are one commit, so there is no other state than done. Every row is for ever.
create table transfer (
    book                  bigint not null,
    order_no              text not null check (length(order_no) = 32),
    id                    bigint not null,
    state                 text not null check (state = 'done'),
    debit                 bigint not null,
    credit                bigint not null,
    amount                bigint not null check (amount > 0),
    currency              text not null,
    note                  text not null,
    business_transfer_no  text,
    request_key           text,
    batch_no              text,
    place                 int,
    hold                  bigint,
    posting               uuid not null,
    created_at            timestamptz not null,
    primary key (book, order_no),
    check (debit <> credit),
    check ((request_key is null) = (batch_no is not null)),
    check ((batch_no is null) = (place is null))
);
create unique index transfer_request on transfer (book, request_key) where request_key is not null;
create unique index transfer_business on transfer (book, business_transfer_no) where business_transfer_no is not null;
create unique index transfer_batch_place on transfer (book, batch_no, place) where batch_no is not null;
create index transfer_outgoing on transfer (book, debit, id desc);
create index transfer_incoming on transfer (book, credit, id desc);

-- A batch is one request for many transfers. `fingerprint` is the digest of the request.
create table transfer_batch (
    book         bigint not null,
    batch_no     text not null check (length(batch_no) = 32),
    id           bigint not null,
    request_key  text not null,
    fingerprint  bytea not null,
    atomic       boolean not null,
    size         int not null check (size between 1 and 500),
    created_at   timestamptz not null,
    primary key (book, batch_no),
    constraint transfer_batch_request unique (book, request_key)
);

-- What a batch asked for in vain, and why.
create table transfer_refusal (
    book      bigint not null,
    batch_no  text not null,
    place     int not null,
    problem   jsonb not null,
    primary key (book, batch_no, place)
);

-- Funds that a business keeps frozen on an account. The ledger's hold decides; this row says what it is for and how a
-- request ended it. One that ends by its time stays open here, with its end in the past.
create table fund_hold (
    book         bigint not null,
    id           bigint not null,
    account      bigint not null,
    amount       bigint not null check (amount > 0),
    currency     text not null,
    reason       text not null,
    request_key  text not null,
    posting      uuid not null,
    state        text not null check (state in ('open', 'used', 'released')),
    used_by      text,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    ended_at     timestamptz,
    primary key (book, id),
    constraint fund_hold_request unique (book, request_key),
    check ((state = 'open') = (ended_at is null)),
    check ((state = 'used') = (used_by is not null))
) with (fillfactor = 80);
create index fund_hold_account on fund_hold (book, account, id desc);

create trigger append_only before update or delete or truncate on transfer
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on transfer_batch
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on transfer_refusal
    for each statement execute function refuse_change();

create function refuse_hold_change() returns trigger language plpgsql as $$
begin
    raise exception 'a hold ends once and is never edited' using errcode = 'restrict_violation';
end $$;
create trigger ends_once before update on fund_hold for each row
    when (old.state <> 'open' or (old.account, old.amount, old.currency, old.posting, old.created_at, old.expires_at)
        is distinct from (new.account, new.amount, new.currency, new.posting, new.created_at, new.expires_at))
    execute function refuse_hold_change();
