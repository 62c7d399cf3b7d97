-- Approvals (复核): what one person proposed and others have to approve. Four eyes hold in the database as well, whatever
-- the program does: nobody decides what he proposed, nothing is approved with too few, and nothing decided is changed.

create table approval (
    book            bigint not null,
    id              bigint not null,
    kind            text not null check (kind ~ '^[a-z][a-z_]{1,31}$'),
    subject         text not null check (subject <> ''),
    payload         jsonb not null,
    payload_sha256  text not null check (payload_sha256 ~ '^[0-9a-f]{64}$'),
    amount          bigint not null check (amount >= 0),
    currency        text not null check (currency ~ '^[A-Z]{3}$'),
    maker           text not null check (maker <> ''),
    needed          int not null check (needed between 0 and 3),
    state           text not null check (state in ('pending', 'approved', 'rejected', 'cancelled', 'expired')),
    expires_at      timestamptz not null,
    created_at      timestamptz not null,
    decided_at      timestamptz,
    primary key (book, id),
    check ((state = 'pending') = (decided_at is null)),
    check (expires_at > created_at)
) with (fillfactor = 80);
create unique index approval_one_pending on approval (book, kind, subject) where state = 'pending';
create index approval_subject on approval (book, kind, subject, id);
create index approval_due on approval (expires_at) where state = 'pending';
create index approval_waiting on approval (book, id) where state = 'pending';

create table approval_decision (
    book      bigint not null,
    approval  bigint not null,
    checker   text not null check (checker <> ''),
    decision  text not null check (decision in ('approve', 'reject')),
    note      text check (note <> ''),
    at        timestamptz not null,
    primary key (book, approval, checker),
    foreign key (book, approval) references approval
);

-- How many must approve from an amount on. A kind and currency without rows has the shipped tiers.
create table approval_tier (
    book        bigint not null,
    kind        text not null check (kind ~ '^[a-z][a-z_]{1,31}$'),
    currency    text not null check (currency ~ '^[A-Z]{3}$'),
    from_minor  bigint not null check (from_minor >= 0),
    needed      int not null check (needed between 0 and 3),
    primary key (book, kind, currency, from_minor)
);

-- Who set the tiers to what, and when.
create table approval_tier_change (
    book      bigint not null,
    id        bigint not null,
    kind      text not null,
    currency  text not null,
    tiers     jsonb not null,
    person    text not null check (person <> ''),
    at        timestamptz not null,
    primary key (book, id)
);
create index approval_tier_change_kind on approval_tier_change (book, kind, currency, id);

create function refuse_approval_change() returns trigger language plpgsql as $$
begin
    raise exception '% on % is not allowed: %', tg_op, tg_table_name, tg_argv[0] using errcode = 'check_violation',
        constraint = tg_table_name || '_' || tg_argv[0];
end $$;

create function check_approval_decision() returns trigger language plpgsql as $$
declare
    about record;
begin
    select maker, state into about from approval where book = new.book and id = new.approval;
    if about.maker = new.checker then
        raise exception 'the maker decides nothing' using errcode = 'check_violation',
            constraint = 'approval_decision_four_eyes';
    end if;
    if about.state <> 'pending' then
        raise exception 'the approval is %', about.state using errcode = 'check_violation',
            constraint = 'approval_decision_pending';
    end if;
    return new;
end $$;

create function check_approval_move() returns trigger language plpgsql as $$
declare
    approving int;
    rejecting int;
begin
    select count(*) filter (where decision = 'approve'), count(*) filter (where decision = 'reject')
        into approving, rejecting from approval_decision where book = new.book and approval = new.id;
    if new.state = 'approved' and (approving < new.needed or rejecting > 0)
        or new.state = 'rejected' and rejecting = 0
        or tg_op = 'INSERT' and new.state = 'pending' and new.needed = 0
        or tg_op = 'INSERT' and new.state not in ('pending', 'approved')
        or tg_op = 'UPDATE' and old.state <> 'pending' then
        raise exception 'approval %: % of % approve, % reject, cannot be %', new.id, approving, new.needed, rejecting,
            new.state using errcode = 'check_violation', constraint = 'approval_four_eyes';
    end if;
    return new;
end $$;

create trigger four_eyes before insert on approval_decision for each row execute function check_approval_decision();
create trigger for_ever before update or delete on approval_decision for each row
    execute function refuse_approval_change('for_ever');
create trigger for_ever before update or delete on approval_tier_change for each row
    execute function refuse_approval_change('for_ever');
create trigger four_eyes before insert or update on approval for each row execute function check_approval_move();
create trigger kept before delete on approval for each row execute function refuse_approval_change('kept');
create trigger unchanged before update on approval for each row
    when ((old.book, old.id, old.kind, old.subject, old.payload, old.payload_sha256, old.amount, old.currency, old.maker,
           old.needed, old.expires_at, old.created_at)
       is distinct from
          (new.book, new.id, new.kind, new.subject, new.payload, new.payload_sha256, new.amount, new.currency, new.maker,
           new.needed, new.expires_at, new.created_at))
    execute function refuse_approval_change('unchanged');
