-- name: insert_changes
insert into venue_states (key_id, venue, at, state, since, retry_at, code, requests, failures, refused)
select $1, venue, to_timestamp($2), state, to_timestamp(since), to_timestamp(retry_at), code, requests, failures,
       refused::jsonb
from unnest($3::text[], $4::smallint[], $5::double precision[], $6::double precision[], $7::integer[],
            $8::bigint[], $9::bigint[], $10::text[])
    as new (venue, state, since, retry_at, code, requests, failures, refused)
where new.state is distinct from (
    select stored.state from venue_states as stored
    where stored.key_id = $1 and stored.venue = new.venue
    order by stored.at desc
    limit 1
);
