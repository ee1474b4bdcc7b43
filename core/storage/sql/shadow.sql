-- name: append
insert into shadow_comparisons (endpoint, at, voting_round, feeds, failure) values ($1, $2, $3, $4::jsonb, $5)
on conflict do nothing;

-- name: forget
delete from shadow_comparisons where endpoint = $1 and at < $2;

-- name: endpoints
select endpoint from shadow_comparisons group by endpoint order by max(at) desc limit $1;

-- name: newest
select at, voting_round, feeds, failure from shadow_comparisons
where endpoint = $1 order by at desc limit $2;
