-- Guard: API keys and stored answers.

-- Looked up before the book is known, so the key's public id is the whole key. Only a keyed digest of the secret is kept.
create table api_key (
    id            text primary key check (id ~ '^[0-9a-z]{8}$'),
    book          bigint not null,
    mode          text not null check (mode in ('test', 'live')),
    kind          text not null check (kind in ('sk', 'pk', 'rk')),
    name          text not null,
    digest        bytea not null check (length(digest) = 32),
    last4         text not null,
    scopes        text[] not null,
    created_at    timestamptz not null,
    expires_at    timestamptz,
    revoked_at    timestamptz
);
create index api_key_book on api_key (book, created_at);

-- What a key was used for, and the answer. The unique key, not a prior read, makes a request take effect once.
create table idempotency (
    book          bigint not null,
    key           text not null,
    endpoint      text not null,
    fingerprint   bytea not null,
    locked_until  timestamptz not null,
    status        smallint,
    answer        bytea,
    created_at    timestamptz not null,
    primary key (book, key)
) with (fillfactor = 80);
create index idempotency_age on idempotency (created_at);
