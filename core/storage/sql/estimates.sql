-- name: insert_estimates
insert into estimates (feed, at, price, band_low, band_high, median, vwap, twap, volume, notional, venues_used)
select feeds.id, to_timestamp($1), price, band_low, band_high, median, vwap, twap, volume, notional, venues_used
from unnest($2::text[], $3::double precision[], $4::double precision[], $5::double precision[],
            $6::double precision[], $7::double precision[], $8::double precision[], $9::double precision[],
            $10::double precision[], $11::smallint[])
    as new (name, price, band_low, band_high, median, vwap, twap, volume, notional, venues_used)
left join feeds using (name)
on conflict do nothing;

-- name: points
select extract(epoch from at)::double precision as at, price, band_low, band_high, vwap, twap, venues_used
from estimates
where feed = (select id from feeds where name = $1) and at >= to_timestamp($2) and at < to_timestamp($3)
order by estimates.at
limit $4;

-- name: candles_from_1m
select extract(epoch from bucket)::double precision as start,
       (array_agg(open order by start))[1] as open,
       max(high) as high,
       min(low) as low,
       (array_agg(close order by start))[count(*)] as close,
       case when sum(volume) > 0 then sum(notional) / sum(volume) end as vwap,
       sum(volume) as volume
from (
    select date_bin(make_interval(secs => $2), start, '2000-01-01+00') as bucket,
           start, open, high, low, close, volume, notional
    from candles_1m
    where feed = (select id from feeds where name = $1) and start >= to_timestamp($3) and start < to_timestamp($4)
) as candles
group by bucket
order by bucket
limit $5;

-- name: candles_from_1h
select extract(epoch from bucket)::double precision as start,
       (array_agg(open order by start))[1] as open,
       max(high) as high,
       min(low) as low,
       (array_agg(close order by start))[count(*)] as close,
       case when sum(volume) > 0 then sum(notional) / sum(volume) end as vwap,
       sum(volume) as volume
from (
    select date_bin(make_interval(secs => $2), start, '2000-01-01+00') as bucket,
           start, open, high, low, close, volume, notional
    from candles_1h
    where feed = (select id from feeds where name = $1) and start >= to_timestamp($3) and start < to_timestamp($4)
) as candles
group by bucket
order by bucket
limit $5;

-- name: prices_near
select feeds.name, extract(epoch from nearest.at)::double precision as at, nearest.price
from feeds cross join lateral (
    select at, price from estimates
    where feed = feeds.id and at >= to_timestamp($1)
    order by estimates.at
    limit 1
) as nearest;
