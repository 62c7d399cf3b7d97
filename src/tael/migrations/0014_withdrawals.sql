-- Withdrawals (提现): whom a member may be paid to, and what a withdrawal order says beyond every order.

-- A payee of a member (`owner`). What identifies the person lies sealed; `fingerprint` is a keyed digest of it, equal
-- for equal payees, `content` one of everything sealed. `space` is the app that a channel's user id belongs to.
create table payee (
    book         bigint not null,
    id           bigint not null,
    owner        bigint not null check (owner > 0),
    kind         text not null check (kind in ('bank_card', 'wechat_user', 'alipay_user')),
    space        text not null,
    sealed       bytea not null,
    fingerprint  text not null check (fingerprint ~ '^[0-9a-f]{64}$'),
    content      text not null check (content ~ '^[0-9a-f]{64}$'),
    masked       text not null,
    holder       text not null,
    state        text not null check (state in ('active', 'unbound')),
    created_at   timestamptz not null,
    unbound_at   timestamptz,
    primary key (book, id),
    check ((state = 'unbound') = (unbound_at is not null))
);
create unique index payee_once on payee (book, owner, fingerprint) where state = 'active';
create index payee_owner on payee (book, owner, id desc);

-- What was asked for, fixed for ever: an order of kind 'withdrawal' with the same number stands beside it.
create table withdrawal (
    book         bigint not null,
    order_no     text not null,
    owner        bigint not null,
    payee        bigint not null,
    maker        text not null check (maker <> ''),
    review       text not null,
    primary key (book, order_no)
);
create index withdrawal_payee on withdrawal (book, payee, order_no);

create function refuse_withdrawal_change() returns trigger language plpgsql as $$
begin
    raise exception 'a withdrawal is never edited' using errcode = 'restrict_violation';
end $$;
create trigger never_edited before update on withdrawal for each row execute function refuse_withdrawal_change();

-- Of a payee only the end may be written: what is sealed stays what was approved.
create function refuse_payee_change() returns trigger language plpgsql as $$
begin
    raise exception 'a payee is never edited' using errcode = 'restrict_violation';
end $$;
create trigger never_edited before update of book, id, owner, kind, space, sealed, fingerprint, content, masked, holder
    on payee for each row execute function refuse_payee_change();
