"""The shared kernel of Chrono: what the edge and the core both know.

Pure Python that runs on CPython and on Pyodide: feeds, ticks, venues, the collecting state machine,
batches and their signatures. Nothing in here opens a socket (but `chrono.fetch`, through a transport
that is handed to it), reads a clock, draws entropy at import or knows of a database.
"""
