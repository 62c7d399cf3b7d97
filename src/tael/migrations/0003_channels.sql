-- Channels: merchant accounts. A secret is never stored here, only where to find it (`file:...` or `env:...`).

create table merchant_account (
    book         bigint not null,
    id           bigint not null,
    name         text not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    channel      text not null,
    mode         text not null check (mode in ('test', 'live')),
    state        text not null check (state in ('active', 'paused')),
    mchid        text not null check (mchid <> ''),
    appid        text not null default '',
    base_url     text not null,
    config       jsonb not null default '{}',
    secret_refs  jsonb not null,
    qps          jsonb not null default '{}',
    created_at   timestamptz not null,
    changed_at   timestamptz not null,
    primary key (book, id),
    unique (book, name),
    unique (book, channel, mchid, appid)
);
