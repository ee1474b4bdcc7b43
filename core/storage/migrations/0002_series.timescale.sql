-- Ticks and estimates in hypertables of a chunk a day: compressed after a day, dropped after their time.
-- The retention here and `core.storage.maintenance.Retention` say the same.
create table ticks (
    received_at timestamptz not null,
    event_at timestamptz,
    leg smallint not null,
    kind smallint not null,
    price_decimals smallint not null,
    volume_decimals smallint not null,
    bid bigint,
    ask bigint,
    last bigint,
    volume bigint
);
select create_hypertable('ticks', by_range('received_at', interval '1 day'), create_default_indexes => false);
create index ticks_leg on ticks (leg, received_at);
alter table ticks set (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'leg',
    timescaledb.orderby = 'received_at'
);
call add_columnstore_policy('ticks', after => interval '1 day', initial_start => now() + interval '1 hour');
select add_retention_policy('ticks', drop_after => interval '7 days', initial_start => now() + interval '1 hour');

create table estimates (
    feed smallint not null,
    at timestamptz not null,
    price double precision not null,
    band_low double precision not null,
    band_high double precision not null,
    median double precision,
    vwap double precision,
    twap double precision,
    volume double precision not null,
    notional double precision not null,
    venues_used smallint not null,
    primary key (feed, at)
);
select create_hypertable('estimates', by_range('at', interval '1 day'), create_default_indexes => false);
alter table estimates set (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'feed',
    timescaledb.orderby = 'at'
);
call add_columnstore_policy('estimates', after => interval '2 days', initial_start => now() + interval '1 hour');
select add_retention_policy('estimates', drop_after => interval '30 days', initial_start => now() + interval '1 hour');

create materialized view candles_1m
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select feed,
       time_bucket(interval '1 minute', at) as start,
       first(price, at) as open,
       max(price) as high,
       min(price) as low,
       last(price, at) as close,
       sum(volume) as volume,
       sum(notional) as notional
from estimates
group by 1, 2
with no data;

create materialized view candles_1h
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select feed,
       time_bucket(interval '1 hour', at) as start,
       first(price, at) as open,
       max(price) as high,
       min(price) as low,
       last(price, at) as close,
       sum(volume) as volume,
       sum(notional) as notional
from estimates
group by 1, 2
with no data;

-- A refresh never reaches back to where estimates are dropped: it would take their candles along.
select add_continuous_aggregate_policy('candles_1m',
    start_offset => interval '7 days',
    end_offset => interval '2 minutes',
    schedule_interval => interval '1 minute',
    initial_start => now() + interval '1 minute');
select add_continuous_aggregate_policy('candles_1h',
    start_offset => interval '7 days',
    end_offset => interval '1 hour',
    schedule_interval => interval '10 minutes',
    initial_start => now() + interval '5 minutes');
