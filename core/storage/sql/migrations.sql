-- name: create_ledger
create table if not exists schema_migrations (
    name text primary key,
    checksum text not null,
    layout text,
    applied_at timestamptz not null default now()
);

-- name: applied
select name, checksum from schema_migrations;

-- name: layout
select layout from schema_migrations where layout is not null order by name limit 1;

-- name: record
insert into schema_migrations (name, checksum, layout) values ($1, $2, $3);
