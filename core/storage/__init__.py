"""PostgreSQL behind the store ports: one module a kind of record, SQL in files, TimescaleDB where it is."""
