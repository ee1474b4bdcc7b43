-- name: begin_change
-- Whoever changes keys takes this row first: in one order, nobody waits for another for ever.
select from gateway_changes for update;

-- name: key_changes
select last, removed from gateway_changes;

-- name: put_account
insert into gateway_accounts (name, tier, created_at) values ($1, $2, to_timestamp($3))
on conflict (name) do update set tier = excluded.tier;

-- name: put_key
insert into gateway_keys (prefix, digest, account, name, scopes, created_at, expires_at, replaces)
values ($1, $2, $3, $4, $5, to_timestamp($6), to_timestamp($7), $8);

-- name: lock_key
select account, name, scopes, extract(epoch from expires_at)::double precision as expires_at
from gateway_keys where prefix = $1 for update;

-- name: end_key
update gateway_keys set expires_at = least(expires_at, to_timestamp($2)) where prefix = $1;

-- name: revoke
update gateway_keys set revoked_at = coalesce(revoked_at, to_timestamp($2)) where prefix = $1 returning prefix;

-- name: keys
select prefix, digest, account, tier, keys.name, scopes,
       extract(epoch from keys.created_at)::double precision as created_at,
       extract(epoch from expires_at)::double precision as expires_at,
       extract(epoch from revoked_at)::double precision as revoked_at
from gateway_keys as keys join gateway_accounts on gateway_accounts.name = account
where ($1::text is null or account = $1) and ($2::text is null or prefix = $2)
order by keys.created_at, prefix
limit $3;

-- name: keys_since
select prefix, digest, account, tier, keys.name, scopes,
       extract(epoch from keys.created_at)::double precision as created_at,
       extract(epoch from expires_at)::double precision as expires_at,
       extract(epoch from revoked_at)::double precision as revoked_at
from gateway_keys as keys join gateway_accounts on gateway_accounts.name = account
where changed > $1
order by changed
limit $2;

-- name: claim_batch
insert into gateway_meter_batches (id, stored_at) values ($1, to_timestamp($2)) on conflict do nothing returning id;

-- name: add_usage
insert into gateway_usage (prefix, endpoint, day, requests)
select prefix, endpoint, day, requests
from unnest($1::text[], $2::text[], $3::date[], $4::bigint[]) as new (prefix, endpoint, day, requests)
on conflict (prefix, endpoint, day) do update set requests = gateway_usage.requests + excluded.requests;

-- name: forget_batches
delete from gateway_meter_batches where stored_at < to_timestamp($1);

-- name: usage
select account, prefix, endpoint, day, requests
from gateway_usage join gateway_keys using (prefix)
where day >= $1 and day <= $2 and ($3::text is null or prefix = $3)
order by day, account, prefix, endpoint;

-- name: block
insert into gateway_blocks (address, reason, since, until, strikes)
values ($1, $2, to_timestamp($3), to_timestamp($4), $5)
on conflict (address) do update set reason = excluded.reason, since = excluded.since, until = excluded.until,
                                    strikes = excluded.strikes;

-- name: unblock
delete from gateway_blocks where address = $1 returning address;

-- name: blocks
select address, reason, extract(epoch from since)::double precision as since,
       extract(epoch from until)::double precision as until, strikes
from gateway_blocks where until > to_timestamp($1)
order by since, address
limit $2;

-- name: forget_blocks
delete from gateway_blocks where until < to_timestamp($1);
