-- Manual adjustments (调账): what a person proposed to book, with the reason. The legs are in the approval's payload,
-- because what was approved is what is booked. An adjustment is never edited; a posted one is corrected by another.

create table adjustment (
    book           bigint not null,
    adjustment_no  text not null check (length(adjustment_no) = 32),
    id             bigint not null,
    state          text not null check (state in ('proposed', 'posted', 'rejected', 'cancelled', 'expired')),
    reason         text not null check (reason ~ '\S'),
    evidence       text,
    linked_order   text,
    reverses       text,
    amount         bigint not null check (amount > 0),
    currency       text not null check (currency ~ '^[A-Z]{3}$'),
    maker          text not null check (maker <> ''),
    request_key    text not null,
    events         int not null check (events > 0),
    created_at     timestamptz not null,
    expires_at     timestamptz not null,
    ended_at       timestamptz,
    ended_by       text,
    primary key (book, adjustment_no),
    unique (book, id),
    unique (book, request_key),
    check ((state = 'proposed') = (ended_at is null))
) with (fillfactor = 80);
-- At most one reversal of an adjustment is under way or done.
create unique index adjustment_reversal on adjustment (book, reverses)
    where reverses is not null and state in ('proposed', 'posted');

create function check_adjustment_move() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' and new.state <> 'proposed' or tg_op = 'UPDATE' and old.state <> 'proposed' then
        raise exception 'adjustment % cannot be %', new.adjustment_no, new.state using errcode = 'check_violation',
            constraint = 'adjustment_legal_move';
    end if;
    if new.state = 'posted' and not exists (
        select from approval where book = new.book and kind = 'adjustment' and subject = new.adjustment_no
            and state = 'approved' and maker = new.maker) then
        raise exception 'adjustment % is not approved', new.adjustment_no using errcode = 'check_violation',
            constraint = 'adjustment_four_eyes';
    end if;
    return new;
end $$;

create trigger four_eyes before insert or update on adjustment for each row execute function check_adjustment_move();
create trigger kept before delete on adjustment for each row execute function refuse_approval_change('kept');
create trigger unchanged before update on adjustment for each row
    when ((old.book, old.adjustment_no, old.id, old.reason, old.evidence, old.linked_order, old.reverses, old.amount,
           old.currency, old.maker, old.request_key, old.created_at, old.expires_at)
       is distinct from
          (new.book, new.adjustment_no, new.id, new.reason, new.evidence, new.linked_order, new.reverses, new.amount,
           new.currency, new.maker, new.request_key, new.created_at, new.expires_at))
    execute function refuse_approval_change('unchanged');
