"""The chain as an adapter: RPC endpoints, contracts, accounts and their nonces, and what blocks say."""
