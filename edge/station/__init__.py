"""What the Worker does, without the runtime that it does it in: plain Python over ports.

`edge/worker.py` gives it Cloudflare's storage, queue, fetch and keys; tests may give it others.
"""
