-- Risk control (风控): rules as versioned data, what they said about each operation, and what counts towards limits.

-- Decision tables (JDM). Book 0 holds what is shipped; a book without rules of its own for an operation uses those.
-- Nothing but the state of a row ever changes. Rolling back adds a new version with the old content.
create table risk_rule_set (
    book          bigint not null check (book >= 0),
    operation     text not null check (operation ~ '^[a-z][a-z_]{0,39}$'),
    version       int not null check (version > 0),
    state         text not null check (state in ('draft', 'shadow', 'active', 'retired')),
    content       jsonb not null,
    note          text not null,
    author        text not null,
    created_at    timestamptz not null,
    activated_at  timestamptz,
    primary key (book, operation, version)
);
create unique index risk_rule_set_active on risk_rule_set (book, operation) where state = 'active';
create unique index risk_rule_set_shadow on risk_rule_set (book, operation) where state = 'shadow';

create function risk_move_is_legal(was text, becomes text) returns boolean language sql immutable as $$
    select case was
        when 'draft'  then becomes in ('shadow', 'active', 'retired')
        when 'shadow' then becomes in ('draft', 'active', 'retired')
        when 'active' then becomes = 'retired'
        else false
    end
$$;

create function refuse_risk_rewriting() returns trigger language plpgsql as $$
begin
    raise exception 'rule set % version % cannot be changed like this', old.operation, old.version
        using errcode = 'check_violation', constraint = 'risk_rule_set_immutable';
end $$;

create trigger immutable before update on risk_rule_set for each row
    when ((old.book, old.operation, old.version, old.content, old.note, old.author, old.created_at)
            is distinct from (new.book, new.operation, new.version, new.content, new.note, new.author, new.created_at)
        or (old.activated_at is not null and new.activated_at is distinct from old.activated_at)
        or (old.state <> new.state and not risk_move_is_legal(old.state, new.state)))
    execute function refuse_risk_rewriting();

-- One row per person, locked while operations of that person are judged: their counts and verdicts have an order.
create table risk_subject (
    book    bigint not null,
    person  bigint not null,
    primary key (book, person)
);

-- What counts: every judged operation that was not refused, until its owner says that it did not happen.
create table risk_usage (
    book       bigint not null,
    operation  text not null,
    number     text not null,
    person     bigint not null,
    day        date not null,
    amount     bigint not null check (amount >= 0),
    currency   text not null,
    payee      text,
    state      text not null default 'counted' check (state in ('counted', 'void')),
    at         timestamptz not null,
    primary key (book, operation, number)
) with (fillfactor = 90);
create index risk_usage_person on risk_usage (book, person, operation, day) include (currency, amount, at)
    where state = 'counted';
create index risk_usage_payee on risk_usage (book, payee, person, operation, day)
    where state = 'counted' and payee is not null;

-- What was asked, with which facts, what the rules said and which rows of the table said it. Version 0: no rules.
create table risk_verdict (
    book       bigint not null,
    operation  text not null,
    number     text not null,
    person     bigint not null,
    facts      jsonb not null,
    rules_of   bigint not null,
    version    int not null,
    outcome    text not null check (outcome in ('pass', 'review', 'refuse')),
    rules      text[] not null,
    reasons    jsonb not null,
    trace      jsonb not null,
    shadow     jsonb,
    at         timestamptz not null,
    primary key (book, operation, number)
);
create index risk_verdict_newest on risk_verdict (book, operation, at desc);

-- Accounts that risk control froze, and how each freeze ended.
create table risk_freeze (
    book           bigint not null,
    account        bigint not null,
    number         int not null check (number > 0),
    reason         text not null,
    frozen_by      text not null,
    frozen_at      timestamptz not null,
    lifted_reason  text,
    lifted_by      text,
    lifted_at      timestamptz,
    primary key (book, account, number),
    check ((lifted_at is null) = (lifted_by is null) and (lifted_at is null) = (lifted_reason is null))
);
create unique index risk_freeze_open on risk_freeze (book, account) where lifted_at is null;
