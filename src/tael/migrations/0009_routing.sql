-- Routing (额度路由): through which merchant account money goes, and how much of its quota is used and held.

create table route (
    book                 bigint not null,
    operation            text not null check (operation in ('payout', 'payment')),
    merchant_account     bigint not null,
    currency             text not null,
    channel              text not null,
    label                text not null,
    priority             int not null check (priority >= 0),
    state                text not null check (state in ('active', 'paused')),
    cooling_until        timestamptz,
    single_min           bigint check (single_min > 0),
    single_max           bigint check (single_max >= coalesce(single_min, 1)),
    daily_limit          bigint check (daily_limit > 0),
    monthly_limit        bigint check (monthly_limit > 0),
    payee_daily_limit    bigint check (payee_daily_limit > 0),
    payee_daily_count    int check (payee_daily_count > 0),
    payee_monthly_limit  bigint check (payee_monthly_limit > 0),
    created_at           timestamptz not null,
    changed_at           timestamptz not null,
    primary key (book, operation, merchant_account, currency)
);

-- The quota that one attempt takes. A number holds once and for ever: what is over is never held again.
create table route_hold (
    book              bigint not null,
    number            text not null check (number <> ''),
    merchant_account  bigint not null,
    channel           text not null,
    operation         text not null check (operation in ('payout', 'payment')),
    currency          text not null,
    payee             text check (payee <> ''),
    amount            bigint not null check (amount > 0),
    day               date not null,
    month             date not null check (month = date_trunc('month', day::timestamp)::date),
    state             text not null check (state in ('held', 'used', 'released', 'expired', 'returned')),
    bound             boolean not null,
    expires_at        timestamptz,
    created_at        timestamptz not null,
    ended_at          timestamptz,
    primary key (book, number),
    check (bound = (expires_at is null)),
    check ((state = 'held') = (ended_at is null))
) with (fillfactor = 80);
create index route_hold_expiry on route_hold (expires_at) where state = 'held' and not bound;

-- What a merchant account (payee '') or one payee of it used and holds in a calendar day or month, Asia/Shanghai.
-- The limits are those under which quota was last taken.
create table quota_window (
    book              bigint not null,
    merchant_account  bigint not null,
    operation         text not null check (operation in ('payout', 'payment')),
    currency          text not null,
    period            text not null check (period in ('day', 'month')),
    starts            date not null check (period = 'day' or starts = date_trunc('month', starts::timestamp)::date),
    payee             text not null,
    used_amount       bigint not null check (used_amount >= 0),
    held_amount       bigint not null check (held_amount >= 0),
    used_count        bigint not null check (used_count >= 0),
    held_count        bigint not null check (held_count >= 0),
    amount_limit      bigint check (amount_limit > 0),
    count_limit       bigint check (count_limit > 0),
    primary key (book, merchant_account, operation, currency, period, starts, payee)
) with (fillfactor = 70);

create function route_hold_move_is_legal(was text, becomes text) returns boolean language sql immutable as $$
    select case was
        when 'held'     then becomes in ('used', 'released', 'expired')
        when 'released' then becomes = 'used'
        when 'expired'  then becomes = 'used'
        when 'used'     then becomes = 'returned'
        else false
    end
$$;

create trigger legal_move before update of state on route_hold for each row
    when (old.state <> new.state and not route_hold_move_is_legal(old.state, new.state))
    execute function refuse_illegal_move();
create trigger legal_start before insert on route_hold for each row
    when (new.state <> 'held') execute function refuse_illegal_move();
