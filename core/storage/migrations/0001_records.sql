-- Names get small ids once, in order of appearance; rows of series hold the ids.
create table feeds (
    id smallint generated always as identity primary key,
    name text not null unique
);

create table legs (
    id smallint generated always as identity primary key,
    name text not null unique
);

-- One row a committed batch: what makes a redelivery harmless.
create table batches (
    key_id bytea not null,
    sequence bigint not null,
    digest bytea not null,
    accepted integer not null,
    refused jsonb not null,
    received_at timestamptz not null,
    primary key (key_id, sequence)
);
create index batches_received_at on batches (received_at);

-- Batches up to here were committed and forgotten: by key, the highest sequence that was pruned.
create table batch_floors (
    key_id bytea primary key,
    sequence bigint not null
);

create table venue_states (
    key_id bytea not null,
    venue text not null,
    at timestamptz not null,
    state smallint not null,
    since timestamptz not null,
    retry_at timestamptz,
    code integer not null,
    requests bigint not null,
    failures bigint not null,
    refused jsonb not null
);
create index venue_states_latest on venue_states (key_id, venue, at desc);

create table round_values (
    voting_round bigint primary key,
    frozen_at timestamptz not null,
    prices jsonb not null
);
