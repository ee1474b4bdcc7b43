"""Prices that prove who told them: typed data of EIP-712, signed with a key of its own, verified anywhere."""
