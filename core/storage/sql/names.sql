-- name: lock_names
select pg_advisory_xact_lock(hashtext('chrono.names'));

-- name: add_feeds
insert into feeds (name)
select name from unnest($1::text[]) with ordinality as wanted (name, place)
where not exists (select from feeds where feeds.name = wanted.name)
order by place;

-- name: add_legs
insert into legs (name)
select name from unnest($1::text[]) with ordinality as wanted (name, place)
where not exists (select from legs where legs.name = wanted.name)
order by place;

-- name: list_feeds
select id, name from feeds;

-- name: list_legs
select id, name from legs;
