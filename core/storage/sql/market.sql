-- name: claim
insert into database_market (market) values ($1) on conflict do nothing;

-- name: find
select market from database_market;
