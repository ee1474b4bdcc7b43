-- name: try_lock
select pg_try_advisory_lock(hashtextextended('chrono.provider.' || $1, 0));

-- name: take_lease
insert into provider_leases (provider, fence, holder) values ($1, 1, $2)
on conflict (provider) do update set fence = provider_leases.fence + 1, holder = $2, taken_at = now()
returning fence;

-- name: holder
select holder from provider_leases where provider = $1;

-- name: check_fence
select fence = $2 from provider_leases where provider = $1 for share;

-- name: reveals
select voting_round, random, feed_values, commit_hash from provider_reveals
where provider = $1 and voting_round >= $2 order by voting_round;

-- name: steps
select voting_round, step, progress, at, content from provider_steps
where provider = $1 and voting_round >= $2 order by voting_round;

-- name: freeze
insert into provider_reveals (provider, voting_round, frozen_at, random, feed_values, commit_hash)
values ($1, $2, $3, $4, $5, $6) on conflict do nothing;

-- name: frozen
select random, feed_values, commit_hash from provider_reveals where provider = $1 and voting_round = $2;

-- name: note
insert into provider_steps (provider, voting_round, step, progress, at, content)
values ($1, $2, $3, $4, $5, $6)
on conflict (provider, voting_round, step) do update
set progress = excluded.progress, at = excluded.at where provider_steps.content = excluded.content;

-- name: noted
select content from provider_steps where provider = $1 and voting_round = $2 and step = $3;

-- name: keep_score
insert into provider_scores (provider, voting_round, merkle_root, random, secure_random, revealed, feeds)
values ($1, $2, $3, $4, $5, $6, $7::jsonb) on conflict do nothing;

-- name: score
select voting_round, merkle_root, random, secure_random, revealed, feeds from provider_scores
where provider = $1 and voting_round = $2;

-- name: scores_since
select voting_round, merkle_root, random, secure_random, revealed, feeds from provider_scores
where provider = $1 and voting_round >= $2 order by voting_round desc limit $3;

-- name: newest
select max(voting_round) from provider_reveals where provider = $1;

-- name: shown
select reveals.voting_round, steps.step
from (
    select voting_round from provider_reveals
    where provider = $1 and voting_round >= $2 order by voting_round limit $3
) as reveals
left join provider_steps as steps
    on steps.provider = $1 and steps.voting_round = reveals.voting_round and steps.progress = 2;

-- name: duties
select reward_epoch, duty, progress, at, content from provider_duties
where provider = $1 and reward_epoch >= $2;

-- name: note_duty
insert into provider_duties (provider, reward_epoch, duty, progress, at, content)
values ($1, $2, $3, $4, $5, $6)
on conflict (provider, reward_epoch, duty) do update
set progress = excluded.progress, at = excluded.at where provider_duties.content = excluded.content;

-- name: noted_duty
select content from provider_duties where provider = $1 and reward_epoch = $2 and duty = $3;
