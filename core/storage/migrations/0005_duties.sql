-- How far each duty of a reward epoch has come. What was signed or claimed with never changes.
create table provider_duties (
    provider text not null,
    reward_epoch bigint not null,
    duty text not null,
    progress smallint not null,
    at double precision not null,
    content bytea not null,
    primary key (provider, reward_epoch, duty)
);
