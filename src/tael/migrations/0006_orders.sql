-- Orders and attempts (订单、流水). The state machine stands here too: no program can make an illegal move.

create table payment_order (
    book               bigint not null,
    order_no           text not null check (order_no ~ '^[0-9A-Z]{32}$'),
    id                 bigint not null,
    kind               text not null check (kind in ('recharge')),
    mode               text not null check (mode in ('test', 'live')),
    state              text not null check (state in ('created', 'paying', 'paid', 'failed', 'closed', 'refunding',
                                                      'refunded', 'invalid', 'unknown')),
    account            bigint not null,
    amount             bigint not null check (amount > 0),
    currency           text not null,
    description        text not null,
    business_order_no  text,
    request_key        text not null,
    metadata           jsonb not null,
    reason             text,
    events             int not null default 0,
    created_at         timestamptz not null,
    expires_at         timestamptz not null,
    paid_at            timestamptz,
    primary key (book, order_no)
) with (fillfactor = 80);
create unique index payment_order_request on payment_order (book, request_key);
create unique index payment_order_business on payment_order (book, business_order_no, kind)
    where business_order_no is not null;
create index payment_order_newest on payment_order (book, kind, id desc);
create index payment_order_account on payment_order (book, account, id desc);

create table payment_attempt (
    book              bigint not null,
    attempt_no        text not null check (attempt_no ~ '^[0-9A-Z]{32}$'),
    order_no          text not null,
    id                bigint not null,
    state             text not null check (state in ('created', 'paying', 'unknown', 'paid', 'failed', 'closed')),
    channel           text not null,
    merchant_account  bigint not null,
    method            text not null,
    amount            bigint not null check (amount > 0),
    currency          text not null,
    payer_id          text,
    payer_ip          text,
    channel_ref       text,
    handoff           jsonb,
    error             text,
    created_at        timestamptz not null,
    ended_at          timestamptz,
    primary key (book, attempt_no)
) with (fillfactor = 80);
create unique index payment_attempt_one_open on payment_attempt (book, order_no)
    where state in ('created', 'paying', 'unknown');
create unique index payment_attempt_channel_ref on payment_attempt (book, merchant_account, channel_ref)
    where channel_ref is not null;
create index payment_attempt_order on payment_attempt (book, order_no, id);

-- An identical submission within the guard's time is refused: digest of the order's content.
create table order_submission (
    book        bigint not null,
    digest      bytea not null,
    order_no    text not null,
    expires_at  timestamptz not null,
    primary key (book, digest)
);
create index order_submission_age on order_submission (expires_at);

create function order_move_is_legal(was text, becomes text) returns boolean language sql immutable as $$
    select case was
        when 'created'   then becomes in ('paying', 'unknown', 'paid', 'failed', 'closed', 'invalid')
        when 'paying'    then becomes in ('unknown', 'paid', 'failed', 'closed', 'invalid')
        when 'unknown'   then becomes in ('paying', 'paid', 'failed', 'closed', 'invalid')
        when 'failed'    then becomes in ('paying', 'unknown', 'paid', 'closed', 'invalid')
        when 'paid'      then becomes in ('refunding', 'refunded')
        when 'refunding' then becomes in ('refunded', 'paid')
        else false
    end
$$;

create function attempt_move_is_legal(was text, becomes text) returns boolean language sql immutable as $$
    select case was
        when 'created' then becomes in ('paying', 'unknown', 'paid', 'failed', 'closed')
        when 'paying'  then becomes in ('unknown', 'paid', 'failed', 'closed')
        when 'unknown' then becomes in ('paying', 'paid', 'failed', 'closed')
        when 'failed'  then becomes = 'paid'
        when 'closed'  then becomes = 'paid'
        else false
    end
$$;

create function refuse_illegal_move() returns trigger language plpgsql as $$
begin
    raise exception '% % -> %', tg_table_name, old.state, new.state using errcode = 'check_violation',
        constraint = tg_table_name || '_legal_move';
end $$;

create trigger legal_move before update of state on payment_order for each row
    when (old.state <> new.state and not order_move_is_legal(old.state, new.state))
    execute function refuse_illegal_move();
create trigger legal_move before update of state on payment_attempt for each row
    when (old.state <> new.state and not attempt_move_is_legal(old.state, new.state))
    execute function refuse_illegal_move();
create trigger legal_start before insert on payment_order for each row
    when (new.state <> 'created') execute function refuse_illegal_move();
create trigger legal_start before insert on payment_attempt for each row
    when (new.state <> 'created') execute function refuse_illegal_move();
