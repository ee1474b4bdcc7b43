"""The self-hosted service of Chrono: ingest, aggregation, storage, bus, API. An application."""

VERSION = "0.1.0"
