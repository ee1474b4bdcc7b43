-- Ticks and estimates in partitions of a day (UTC). The default partitions take whatever has no day yet, so
-- that a late row is never refused; `maintain` makes days ahead and empties the defaults into them.
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
) partition by range (received_at);
create index ticks_leg on ticks (leg, received_at);
create table ticks_default partition of ticks default;

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
) partition by range (at);
create table estimates_default partition of estimates default;

-- Candles are filled up to a mark and computed beyond it; `candles_1m` and `candles_1h` are the whole.
create table candles_1m_filled (
    feed smallint not null,
    start timestamptz not null,
    open double precision not null,
    high double precision not null,
    low double precision not null,
    close double precision not null,
    volume double precision not null,
    notional double precision not null,
    primary key (feed, start)
);
create table candles_1h_filled (like candles_1m_filled including all);

create table candle_marks (
    series text primary key,
    filled_to timestamptz not null
);
insert into candle_marks values ('1m', '-infinity'), ('1h', '-infinity');

-- Minutes that got an estimate after they had been filled: `maintain` computes them again.
create table candle_repairs (
    start timestamptz primary key
);

create view candles_1m as
select feed, start, open, high, low, close, volume, notional
from candles_1m_filled
union all
select feed,
       date_bin('1 minute', at, '2000-01-01+00') as start,
       (array_agg(price order by at))[1],
       max(price),
       min(price),
       (array_agg(price order by at))[count(*)],
       sum(volume),
       sum(notional)
from estimates
where at >= (select filled_to from candle_marks where series = '1m')
group by 1, 2;

create view candles_1h as
select feed, start, open, high, low, close, volume, notional
from candles_1h_filled
union all
select feed,
       date_bin('1 hour', start, '2000-01-01+00') as start,
       (array_agg(open order by start))[1],
       max(high),
       min(low),
       (array_agg(close order by start))[count(*)],
       sum(volume),
       sum(notional)
from candles_1m
where start >= (select filled_to from candle_marks where series = '1h')
group by 1, 2;

create function note_late_estimates() returns trigger language plpgsql as $$
begin
    insert into candle_repairs
    select distinct date_bin('1 minute', at, '2000-01-01+00') from inserted
    where at < (select filled_to from candle_marks where series = '1m')
    on conflict do nothing;
    return null;
end $$;

create trigger estimates_late after insert on estimates
referencing new table as inserted
for each statement execute function note_late_estimates();

-- Give a day of `ticks` or `estimates` its partition, taking along what the default holds of it.
create function ensure_day(series text, day date) returns boolean language plpgsql as $$
declare
    part text := format('%s_%s', series, to_char(day, 'YYYYMMDD'));
    time_column text := case series when 'ticks' then 'received_at' else 'at' end;
    from_at timestamptz := day::timestamp at time zone 'UTC';
    to_at timestamptz := (day + 1)::timestamp at time zone 'UTC';
begin
    if to_regclass(part) is not null then
        return false;
    end if;
    -- Nobody may write into the default while its rows of this day move.
    execute format('lock table %I in access exclusive mode', series || '_default');
    execute format('create table %I (like %I including defaults including constraints)', part, series);
    execute format(
        'with moved as (delete from %I where %I >= %L and %I < %L returning *) insert into %I select * from moved',
        series || '_default', time_column, from_at, time_column, to_at, part);
    execute format(
        'alter table %I attach partition %I for values from (%L) to (%L)', series, part, from_at, to_at);
    return true;
end $$;

-- The oldest day that the default partition holds, or null.
create function oldest_stray_day(series text) returns date language plpgsql as $$
declare
    oldest timestamptz;
begin
    execute format('select min(%I) from %I',
        case series when 'ticks' then 'received_at' else 'at' end, series || '_default') into oldest;
    return (oldest at time zone 'UTC')::date;
end $$;

-- Drop the days before one; returns how many.
create function drop_days_before(series text, first_kept date) returns integer language plpgsql as $$
declare
    part record;
    dropped integer := 0;
begin
    for part in
        select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
        where inhparent = series::regclass
          and relname ~ ('^' || series || '_\d{8}$')
          and to_date(right(relname, 8), 'YYYYMMDD') < first_kept
    loop
        execute format('drop table %I', part.relname);
        dropped := dropped + 1;
    end loop;
    return dropped;
end $$;

-- The candles of one feed's estimates in [from_at, to_at): every query for them goes through (feed, at).
create function minutes_of(wanted smallint, from_at timestamptz, to_at timestamptz)
returns setof candles_1m_filled stable language sql as $$
    select feed,
           date_bin('1 minute', at, '2000-01-01+00'),
           (array_agg(price order by at))[1],
           max(price),
           min(price),
           (array_agg(price order by at))[count(*)],
           sum(volume),
           sum(notional)
    from estimates
    where feed = wanted and at >= from_at and at < to_at
    group by 1, 2
$$;

create function hours_of(wanted smallint, from_at timestamptz, to_at timestamptz)
returns setof candles_1h_filled stable language sql as $$
    select feed,
           date_bin('1 hour', start, '2000-01-01+00'),
           (array_agg(open order by start))[1],
           max(high),
           min(low),
           (array_agg(close order by start))[count(*)],
           sum(volume),
           sum(notional)
    from candles_1m_filled
    where feed = wanted and start >= from_at and start < to_at
    group by 1, 2
$$;

-- Fill both series up to a time, at most two hours of estimates a call; returns the mark of the minutes.
create function fill_candles(up_to timestamptz) returns timestamptz language plpgsql as $$
declare
    minute_mark timestamptz;
    hour_mark timestamptz;
    first_at timestamptz;
    target timestamptz;
    hour_target timestamptz;
begin
    select filled_to into minute_mark from candle_marks where series = '1m' for update;
    select min(found.at) into first_at
    from feeds cross join lateral (
        select at from estimates where feed = feeds.id and at >= minute_mark order by at limit 1
    ) as found;
    if first_at is null then
        return minute_mark;
    end if;
    target := date_bin('1 minute', least(up_to, first_at + interval '2 hours'), '2000-01-01+00');
    if target <= first_at then
        return minute_mark;
    end if;
    insert into candles_1m_filled
    select filled.* from feeds, minutes_of(feeds.id, first_at, target) as filled
    on conflict do nothing;
    update candle_marks set filled_to = target where series = '1m';

    select filled_to into hour_mark from candle_marks where series = '1h' for update;
    hour_target := date_bin('1 hour', target, '2000-01-01+00');
    if hour_target > hour_mark then
        insert into candles_1h_filled
        select filled.* from feeds, hours_of(feeds.id, hour_mark, hour_target) as filled
        on conflict do nothing;
        update candle_marks set filled_to = hour_target where series = '1h';
    end if;
    return target;
end $$;

-- Compute again the minutes that late estimates fell into, and their hours; at most 500 minutes a call.
create function repair_candles() returns integer language plpgsql as $$
declare
    minutes timestamptz[];
begin
    with due as (
        delete from candle_repairs
        where start in (select start from candle_repairs order by start limit 500)
        returning start
    )
    select array_agg(start) into minutes from due;
    if minutes is null then
        return 0;
    end if;
    insert into candles_1m_filled
    select filled.*
    from unnest(minutes) as late (start), feeds,
         minutes_of(feeds.id, late.start, late.start + interval '1 minute') as filled
    on conflict (feed, start) do update
    set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, notional = excluded.notional;
    insert into candles_1h_filled
    select filled.*
    from (select distinct date_bin('1 hour', start, '2000-01-01+00') as start from unnest(minutes) as m (start))
             as late,
         feeds,
         hours_of(feeds.id, late.start, late.start + interval '1 hour') as filled
    where late.start < (select filled_to from candle_marks where series = '1h')
    on conflict (feed, start) do update
    set open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        volume = excluded.volume, notional = excluded.notional;
    return cardinality(minutes);
end $$;
