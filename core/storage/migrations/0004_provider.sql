-- Who may write a provider's records: the session that holds the advisory lock and the last fence.
create table provider_leases (
    provider text primary key,
    fence bigint not null,
    holder text not null,
    taken_at timestamptz not null default now()
);

-- What a round's commit is made of. Written before the commit leaves; never changed.
create table provider_reveals (
    provider text not null,
    voting_round bigint not null,
    frozen_at double precision not null,
    random bytea not null,
    feed_values bytea not null,
    commit_hash bytea not null,
    primary key (provider, voting_round)
);

-- How far each step of a round has come. Its content never changes.
create table provider_steps (
    provider text not null,
    voting_round bigint not null,
    step text not null,
    progress smallint not null,
    at double precision not null,
    content bytea not null,
    primary key (provider, voting_round, step)
);

-- Finished rounds: the result that everybody computes, and our score in it.
create table provider_scores (
    provider text not null,
    voting_round bigint not null,
    merkle_root bytea not null,
    random bytea not null,
    secure_random boolean not null,
    revealed boolean not null,
    feeds jsonb not null,
    stored_at timestamptz not null default now(),
    primary key (provider, voting_round)
);
