-- Changes of keys are numbered, so that a replica that looks every two seconds reads only what is new to it.
-- The numbers come from one row, which is locked until the change is committed: they become visible in
-- order. The row's `removed` counts removals, which leave nothing to read.
create table gateway_changes (
    one_row boolean primary key default true check (one_row),
    last bigint not null,
    removed bigint not null
);
insert into gateway_changes (last, removed) values (0, 0);

alter table gateway_keys add column changed bigint not null default 0;
create index gateway_keys_changed on gateway_keys (changed);

create function gateway_number_key() returns trigger language plpgsql as $$
begin
    update gateway_changes set last = last + 1 returning last into new.changed;
    return new;
end
$$;
create trigger gateway_keys_changed before insert or update on gateway_keys
for each row execute function gateway_number_key();

create function gateway_count_removed() returns trigger language plpgsql as $$
begin
    update gateway_changes set removed = removed + 1;
    return null;
end
$$;
create trigger gateway_keys_removed after delete or truncate on gateway_keys
for each statement execute function gateway_count_removed();

-- An account's tier is told with each of its keys.
create function gateway_number_keys_of() returns trigger language plpgsql as $$
begin
    update gateway_keys set changed = 0 where account = new.name;
    return null;
end
$$;
create trigger gateway_accounts_changed after update on gateway_accounts
for each row when (old.tier is distinct from new.tier) execute function gateway_number_keys_of();
