-- name: freeze
insert into round_values (voting_round, frozen_at, prices) values ($1, to_timestamp($2), $3::jsonb)
on conflict do nothing;

-- name: find
select prices from round_values where voting_round = $1;
