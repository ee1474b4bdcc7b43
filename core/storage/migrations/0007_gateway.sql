-- Who buys. Limits count for an account, whatever keys it has.
create table gateway_accounts (
    name text primary key,
    tier text not null,
    created_at timestamptz not null
);

-- What is kept of a key: never its secret.
create table gateway_keys (
    prefix text primary key,
    digest bytea not null,
    account text not null references gateway_accounts (name),
    name text not null,
    scopes text[] not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    replaces text references gateway_keys (prefix)
);
create index gateway_keys_account on gateway_keys (account);

create table gateway_usage (
    prefix text not null,
    endpoint text not null,
    day date not null,
    requests bigint not null,
    primary key (prefix, endpoint, day)
);
create index gateway_usage_day on gateway_usage (day);

-- One row a batch of counts that was added: what makes adding it again harmless.
create table gateway_meter_batches (
    id bytea primary key,
    stored_at timestamptz not null
);
create index gateway_meter_batches_stored_at on gateway_meter_batches (stored_at);

create table gateway_blocks (
    address text primary key,
    reason text not null,
    since timestamptz not null,
    until timestamptz not null,
    strikes integer not null
);
