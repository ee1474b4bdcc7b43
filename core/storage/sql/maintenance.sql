-- name: try_lock
select pg_try_advisory_lock(hashtext('chrono.maintenance'));

-- name: unlock
select pg_advisory_unlock(hashtext('chrono.maintenance'));

-- name: prune_batches
with pruned as (
    delete from batches
    where (key_id, sequence) in (
        select key_id, sequence from batches where received_at < to_timestamp($1) order by received_at limit 20000
    )
    returning key_id, sequence
), raised as (
    insert into batch_floors
    select key_id, max(sequence) from pruned group by key_id
    on conflict (key_id) do update set sequence = greatest(batch_floors.sequence, excluded.sequence)
)
select count(*) from pruned;

-- name: ensure_day
select ensure_day($1, $2);

-- name: stray_day
select oldest_stray_day($1);

-- name: drop_days
select drop_days_before($1, $2);

-- name: drop_stray_ticks
delete from ticks_default where received_at < $1::date::timestamp at time zone 'UTC';

-- name: drop_stray_estimates
delete from estimates_default where at < $1::date::timestamp at time zone 'UTC';

-- name: forget_repairs
delete from candle_repairs where start < $1::date::timestamp at time zone 'UTC';

-- name: repair_candles
select repair_candles();

-- name: fill_candles
select fill_candles(to_timestamp($1));

-- name: failed_jobs
select count(*) from timescaledb_information.job_stats where last_run_status = 'Failed';

-- name: timescale_retention
select count(altered.job_id)
from timescaledb_information.jobs job,
     lateral alter_job(job.job_id, config => jsonb_set(job.config, '{drop_after}', to_jsonb($2::int || ' days')))
         as altered
where proc_name = 'policy_retention'
  and hypertable_name = $1
  and (job.config ->> 'drop_after')::interval <> make_interval(days => $2::int);
