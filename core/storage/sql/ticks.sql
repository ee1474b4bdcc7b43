-- name: insert_batches
insert into batches (key_id, sequence, digest, accepted, refused, received_at)
select key_id, sequence, digest, accepted, refused::jsonb, to_timestamp(received_at)
from unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::integer[], $5::text[], $6::double precision[])
    as new (key_id, sequence, digest, accepted, refused, received_at)
on conflict do nothing
returning key_id, sequence;

-- name: stored_batches
select key_id, sequence, digest, accepted, refused
from batches join unnest($1::bytea[], $2::bigint[]) as wanted (key_id, sequence) using (key_id, sequence);

-- name: floors
select key_id, sequence from batch_floors where key_id = any($1::bytea[]);

-- name: take_back
delete from batches using unnest($1::bytea[], $2::bigint[]) as wanted (key_id, sequence)
where batches.key_id = wanted.key_id and batches.sequence = wanted.sequence;

-- name: quotes_between
select legs.name as leg,
       extract(epoch from received_at)::double precision as received_at,
       extract(epoch from event_at)::double precision as event_at,
       bid / power(10::double precision, price_decimals) as bid,
       ask / power(10::double precision, price_decimals) as ask,
       last / power(10::double precision, price_decimals) as last,
       volume / power(10::double precision, volume_decimals) as volume_24h
from ticks join legs on legs.id = ticks.leg
where kind = 1 and received_at >= to_timestamp($1) and received_at < to_timestamp($2)
order by ticks.received_at
