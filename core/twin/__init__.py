"""The serverless twin: answers the public's questions from the core, or without it from signed snapshots."""
