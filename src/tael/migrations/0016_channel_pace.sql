-- Pace: how fast each operation of a merchant account may be called, by all processes together, and whether it is
-- called at all just now (circuit breaker). One row per merchant account and operation; nothing about money.
--
-- The functions read the database's own clock, because a pace must be one for all processes. No decision about an
-- order hangs on it: who gets no place has sent nothing.

create table channel_pace (
    book              bigint not null,
    merchant_account  bigint not null,
    operation         text not null,
    next_at           timestamptz not null,
    slowed_to         int check (slowed_to > 0),
    slowed_at         timestamptz,
    open_until        timestamptz,
    trips             int not null default 0 check (trips >= 0),
    primary key (book, merchant_account, operation)
) with (fillfactor = 50);

-- The rate that holds now: the limit, or after the channel said "too many", half of what was used, growing back by a
-- twentieth of the limit each second.
create function pace_now(pace channel_pace, allowed int, at timestamptz) returns int language sql immutable as $$
    select case when pace.slowed_to is null then allowed
           else least(allowed::bigint,
                      pace.slowed_to + greatest(0, floor(extract(epoch from at - pace.slowed_at)))::bigint
                                       * greatest(1, allowed / 20))::int end
$$;

-- Take up to `places` places in the row of calls. `wait_us`: until the first of them; the others follow each
-- `spacing_us` later. None are granted that would have to wait longer than `longest_us`. While the breaker is open
-- nothing is granted; when its time is over one call may try, and the others wait for what becomes of it.
create function take_places(of_book bigint, of_account bigint, of_operation text, places int, allowed int,
                            longest_us bigint)
    returns table (wait_us bigint, granted int, spacing_us bigint, is_open boolean) language plpgsql as $$
declare
    pace channel_pace;
    at timestamptz;
    begins timestamptz;
begin
    insert into channel_pace (book, merchant_account, operation, next_at)
        values (of_book, of_account, of_operation, '-infinity') on conflict do nothing;
    select * into pace from channel_pace
        where book = of_book and merchant_account = of_account and operation = of_operation for update;
    at := clock_timestamp();
    is_open := pace.open_until > at;
    -- A twentieth stays unused: calls bunch on their way, and a limit counts arrivals.
    spacing_us := ceil(1050000.0 / pace_now(pace, allowed, at));
    begins := greatest(pace.next_at, at);
    wait_us := extract(epoch from begins - at) * 1000000;
    granted := case when is_open or wait_us > longest_us then 0
               else least(case when pace.open_until is null then places else 1 end,
                          (longest_us - wait_us) / spacing_us + 1) end;
    update channel_pace
        set next_at = begins + make_interval(secs => granted * spacing_us / 1000000.0),
            open_until = case when pace.open_until <= at and granted > 0 then at + interval '5 seconds'
                              else pace.open_until end
        where book = of_book and merchant_account = of_account and operation = of_operation;
    return next;
end $$;

-- The channel said "too many": half the rate, after a pause of a second.
create function slow_down(of_book bigint, of_account bigint, of_operation text, allowed int)
    returns void language plpgsql as $$
declare
    at timestamptz := clock_timestamp();
begin
    update channel_pace pace
        set slowed_to = greatest(1, pace_now(pace, allowed, at) / 2), slowed_at = at + interval '1 second',
            next_at = greatest(next_at, at + interval '1 second')
        where book = of_book and merchant_account = of_account and operation = of_operation
            and (slowed_at is null or slowed_at < at);
end $$;

-- Open the breaker: for 5 s, then 10, 20, 40 and at most 60 s when the call that tried failed too. And close it.
create function open_breaker(of_book bigint, of_account bigint, of_operation text) returns void language sql as $$
    update channel_pace
        set open_until = clock_timestamp() + make_interval(secs => least(60, 5 * 2 ^ least(trips, 4))),
            trips = trips + 1
        where book = of_book and merchant_account = of_account and operation = of_operation
$$;

create function close_breaker(of_book bigint, of_account bigint, of_operation text) returns void language sql as $$
    update channel_pace set open_until = null, trips = 0
        where book = of_book and merchant_account = of_account and operation = of_operation and trips > 0
$$;
