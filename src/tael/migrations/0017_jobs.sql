-- Periodic jobs, alerts, and products that are still to be made for what was paid.

-- Periodic work that any process may do and one does at a time. Belongs to the installation, so it has no book.
create table job (
    name           text primary key check (name ~ '^[a-z][a-z_]{1,31}$'),
    every_s        int not null check (every_s > 0),
    due_at         timestamptz not null,
    lease          uuid,
    lease_until    timestamptz,
    last_started   timestamptz,
    last_ended     timestamptz,
    last_ms        bigint check (last_ms >= 0),
    last_error     text,
    runs           bigint not null default 0,
    failures       bigint not null default 0,
    failed_in_row  int not null default 0,
    check ((lease is null) = (lease_until is null))
) with (fillfactor = 50);

-- What a person has to know. Open once per kind and subject, however often it is noticed. Book 0 is the installation.
create table alert (
    book             bigint not null,
    id               bigint not null,
    kind             text not null check (kind ~ '^[a-z][a-z_]{1,31}$'),
    subject          text not null check (subject <> ''),
    severity         text not null check (severity in ('warning', 'critical')),
    text_en          text not null,
    text_zh          text not null,
    data             jsonb not null,
    opened_at        timestamptz not null,
    last_at          timestamptz not null,
    times            int not null default 1 check (times > 0),
    acknowledged_by  text,
    acknowledged_at  timestamptz,
    closed_at        timestamptz,
    primary key (book, id),
    check ((acknowledged_by is null) = (acknowledged_at is null))
) with (fillfactor = 80);
create unique index alert_one_open on alert (book, kind, subject) where closed_at is null;
create index alert_open on alert (book, id) where closed_at is null;
create index alert_closed on alert (book, id) where closed_at is not null;
create index alert_open_of_kind on alert (kind, severity) where closed_at is null;

-- Dead letters and parked events are counted by these, however many other rows there are.
create index task_dead_of_book on task (book, queue) where dead_at is not null;
create index event_parked on event (book, topic) where published_at is null and failures >= 8;

-- A product that a business has to make once a payment is paid. `due_at` is when it is asked about next.
create table payment_fulfilment (
    book          bigint not null,
    order_no      text not null,
    state         text not null check (state in ('unpaid', 'expected', 'fulfilled', 'waived')),
    within_s      int not null check (within_s > 0),
    due_at        timestamptz,
    times_asked   int not null default 0 check (times_asked >= 0),
    fulfilled_at  timestamptz,
    reference     text,
    primary key (book, order_no),
    check ((state = 'unpaid') = (due_at is null)),
    check ((state = 'fulfilled') = (fulfilled_at is not null))
) with (fillfactor = 80);
