"""The HTTP and WebSocket interfaces. Knows requests and answers; asks `Services` for everything else."""
