"""The provider: performs on a chain what a voting round says is due, and keeps its word over restarts."""
