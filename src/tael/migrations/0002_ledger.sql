-- The ledger: books, accounts, and the append-only log that is also where balances live (docs/adr/0002).
-- Every table leads its keys with `book`, nothing refers across books, there are no sequences.

create table book (
    book       bigint primary key check (book > 0),
    name       text not null check (name <> ''),
    opened_at  timestamptz not null
);

-- The one row that all writers of a book lock, last. `token` names the batch that ended at `pos`, `epoch` changes
-- when facts about accounts change, `at` is the time of the newest posting and never goes back, `next_expiry` is not
-- later than the earliest end of an open hold.
create table book_head (
    book         bigint primary key references book,
    pos          bigint not null default 0 check (pos >= 0),
    token        bigint not null default 0,
    epoch        bigint not null default 0,
    at           timestamptz not null,
    day          date not null,
    next_expiry  timestamptz
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000);

create table account (
    book       bigint not null,
    id         bigint not null check (id > 0 and id < 9223372036854775807),
    kind       text not null check (kind in ('customer', 'internal', 'product')),
    subject    text not null check (subject <> ''),
    currency   text not null check (currency <> ''),
    normal     text not null check (normal in ('debit', 'credit')),
    limits     smallint not null check (limits in (0, 1, 2)),
    updating   text not null check (updating in ('realtime', 'daily')),
    status     text not null check (status in ('open', 'frozen')),
    owner      bigint,
    parent     bigint,
    opened_at  timestamptz not null,
    checksum   bigint not null,
    primary key (book, id)
);
create index account_owner on account (book, owner, id) where owner is not null;
create index account_subject on account (book, subject, id);

-- One row per posting. Columns that most rows do not need are null, and null costs nothing; wide columns come first,
-- so no byte is lost to alignment. kind: 0 post, 1 hold, 2 settle, 3 release, 4 expire, 5 reverse. leg: number inside the
-- group, null = alone. held: null = 0. checksum covers all other columns.
create table posting (
    book            bigint not null,
    pos             bigint not null check (pos > 0),
    id              uuid not null,
    at              timestamptz not null,
    debit           bigint not null,
    credit          bigint not null,
    amount          bigint not null check (amount >= 0),
    debit_seq       bigint not null check (debit_seq > 0),
    debit_debits    bigint not null check (debit_debits >= 0),
    debit_credits   bigint not null check (debit_credits >= 0),
    credit_seq      bigint not null check (credit_seq > 0),
    credit_debits   bigint not null check (credit_debits >= 0),
    credit_credits  bigint not null check (credit_credits >= 0),
    day             date not null,
    checksum        int not null,
    code            smallint not null check (code > 0),
    kind            smallint not null check (kind between 0 and 5),
    flags           smallint,
    leg             smallint check (leg >= 0),
    timeout_s       int check (timeout_s > 0),
    debit_debits_held    bigint check (debit_debits_held > 0),
    debit_credits_held   bigint check (debit_credits_held > 0),
    credit_debits_held   bigint check (credit_debits_held > 0),
    credit_credits_held  bigint check (credit_credits_held > 0),
    reference       uuid,
    order_no        text check (order_no <> ''),
    primary key (book, pos),
    constraint posting_id unique (book, id),
    constraint posting_debit unique (book, debit, debit_seq),
    constraint posting_credit unique (book, credit, credit_seq),
    check (debit <> credit),
    check ((kind in (0, 1)) = (reference is null))
) with (autovacuum_freeze_max_age = 1000000000, autovacuum_vacuum_insert_scale_factor = 0.2);

-- Rows on their way in. An array of rows is read in half the time that as many arrays as columns take.
create type plain_posting as (
    pos bigint, id uuid, debit bigint, credit bigint, amount bigint, debit_seq bigint, debit_debits bigint,
    debit_credits bigint, credit_seq bigint, credit_debits bigint, credit_credits bigint, code smallint
);
create type full_posting as (
    pos bigint, id uuid, debit bigint, credit bigint, amount bigint, debit_seq bigint, debit_debits bigint,
    debit_credits bigint, credit_seq bigint, credit_debits bigint, credit_credits bigint, code smallint,
    kind smallint, flags smallint, leg smallint, timeout_s int, debit_debits_held bigint, debit_credits_held bigint,
    credit_debits_held bigint, credit_credits_held bigint, reference uuid, order_no text
);

-- A hold ends once: the second settlement, release or expiry finds the place taken.
create unique index posting_ends_hold on posting (book, reference) where kind in (2, 3, 4);
create index posting_reverses on posting (book, reference) where kind = 5;
create index posting_order_no on posting (book, order_no) where order_no is not null and leg is null;

-- Ids that were refused for a reason that depends on the ledger's state: they stay refused.
create table refused_posting (
    book     bigint not null,
    id       uuid not null,
    outcome  text not null,
    at       timestamptz not null,
    primary key (book, id)
);

-- The holds that are open now: derived from the log, kept so that due ones are found by an index.
create table open_hold (
    book        bigint not null,
    id          uuid not null,
    pos         bigint not null,
    debit       bigint not null,
    credit      bigint not null,
    amount      bigint not null check (amount >= 0),
    expires_at  timestamptz,
    primary key (book, id)
);
create index open_hold_due on open_hold (book, expires_at) where expires_at is not null;
create index open_hold_debit on open_hold (book, debit, expires_at);
create index open_hold_credit on open_hold (book, credit, expires_at);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger append_only before update or delete or truncate on posting
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on refused_posting
    for each statement execute function refuse_change();

create function posting_checksum(p posting) returns int language sql immutable parallel safe as $$
    select hash_record(row(p.book, p.pos, p.id, p.at, p.debit, p.credit, p.amount, p.debit_seq,
        p.debit_debits, p.debit_credits, p.credit_seq, p.credit_debits, p.credit_credits, p.day, p.code,
        p.kind, p.flags, p.leg, p.timeout_s, p.debit_debits_held, p.debit_credits_held,
        p.credit_debits_held, p.credit_credits_held, p.reference, p.order_no))
$$;
