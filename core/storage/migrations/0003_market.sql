-- Which market's prices this database holds: simulated prices never get among live ones.
create table database_market (
    only_row boolean primary key default true check (only_row),
    market text not null
);
