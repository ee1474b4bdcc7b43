-- name: capabilities
select current_setting('server_version') as version,
       (select default_version from pg_available_extensions where name = 'timescaledb') as found,
       (select extversion from pg_extension where extname = 'timescaledb') as installed,
       coalesce((select setting like '%timescaledb%' from pg_settings
                 where name = 'shared_preload_libraries'), false) as loaded;
