-- Callbacks: where businesses want to be told, what they are told, and every attempt to tell them.

-- Secrets are derived from the master key and `generation`; none is stored. While now < previous_until the generation
-- before signs as well. `failures` counts since the last success; `failing_since` is the first of them.
create table callback_endpoint (
    book            bigint not null,
    id              bigint not null,
    url             text not null,
    topics          text[] not null,
    patterns        text[] not null,
    description     text not null,
    status          text not null check (status in ('enabled', 'disabled', 'paused', 'deleted')),
    reason          text not null default '',
    generation      int not null default 1 check (generation > 0),
    previous_until  timestamptz,
    failures        int not null default 0,
    failing_since   timestamptz,
    pings           int not null default 0,
    pings_since     timestamptz,
    created_at      timestamptz not null,
    primary key (book, id)
) with (fillfactor = 80);

-- One delivery per event and endpoint: the row is the message, its place in the queue and its result. A claim moves
-- due_at to the end of the lease. `rung` is the place on the ladder, `attempts` counts all claims ever.
create table callback_delivery (
    book         bigint not null,
    endpoint_id  bigint not null,
    event_id     bigint not null,
    topic        text not null,
    body         text not null,
    status       text not null default 'waiting' check (status in ('waiting', 'delivered', 'dead')),
    rung         int not null default 0,
    attempts     int not null default 0,
    due_at       timestamptz not null,
    lease        uuid,
    last_error   text,
    created_at   timestamptz not null,
    finished_at  timestamptz,
    primary key (book, endpoint_id, event_id),
    check ((status = 'waiting') = (finished_at is null))
) with (fillfactor = 80);
create index callback_delivery_due on callback_delivery (book, endpoint_id, due_at) where status = 'waiting';
create index callback_delivery_dead on callback_delivery (book, endpoint_id, event_id) where status = 'dead';

create table callback_attempt (
    book             bigint not null,
    endpoint_id      bigint not null,
    event_id         bigint not null,
    number           int not null,
    at               timestamptz not null,
    outcome          text not null,
    status           int,
    duration_ms      int not null,
    response_sha256  bytea,
    primary key (book, endpoint_id, event_id, number)
);
