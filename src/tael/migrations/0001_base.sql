-- Base: node numbers for ids, the delay queue and the outbox.

-- A node number belongs to one process at a time. `high_ms` is the time up to which that process may issue ids, so a
-- successor starts above it whatever its own clock says.
create table node (
    node        int primary key check (node between 0 and 1023),
    owner       uuid not null,
    expires_at  timestamptz not null,
    high_ms     bigint not null
);

-- The delay queue. A claim moves due_at to the end of the lease; finishing deletes the row. `key` makes enqueueing
-- idempotent and lets the owner cancel by business key.
create table task (
    book        bigint not null,
    id          bigint not null,
    queue       text not null,
    key         text not null,
    payload     jsonb not null,
    due_at      timestamptz not null,
    attempt     int not null default 0,
    lease       uuid,
    dead_at     timestamptz,
    last_error  text,
    created_at  timestamptz not null,
    primary key (book, queue, key)
) with (fillfactor = 80);
create index task_due on task (queue, due_at) where dead_at is null;
create index task_dead on task (queue, dead_at) where dead_at is not null;

-- Events: written in the transaction that makes them true, published afterwards, kept for replay.
create table event (
    book          bigint not null,
    id            bigint not null,
    topic         text not null,
    subject       text not null,
    sequence      int not null check (sequence > 0),
    payload       jsonb not null,
    created_at    timestamptz not null,
    published_at  timestamptz,
    failures      int not null default 0,
    primary key (book, id),
    unique (book, subject, sequence)
) with (fillfactor = 90);
create index event_unpublished on event (id) where published_at is null and failures < 8;
