"""The chain as an adapter: RPC endpoints, contracts, accounts and their nonces, and what blocks say.

eth-account brings py-ecc, which raises the interpreter's recursion limit to 100,000 when it is imported. With
that limit a deeply nested answer from anybody overflows the C stack and kills the process. So it is imported
here, before anything else of this package can, and the limit is put back.
"""

import sys

_limit = sys.getrecursionlimit()
import eth_account  # noqa: E402, F401

sys.setrecursionlimit(_limit)
