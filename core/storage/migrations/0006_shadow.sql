-- Our values beside another value provider's. `feeds` is an array of [feed, ours, theirs, band low, band high],
-- with null for what is missing; `failure` says why a side did not answer.
create table shadow_comparisons (
    endpoint text not null,
    at double precision not null,
    voting_round bigint,
    feeds jsonb not null,
    failure text,
    primary key (endpoint, at)
);
