"""The venue simulator: the venues' public REST answers on loopback, over a market that is made or recorded.

The pure part (noise, market, replay, faults, one module a venue) is a function of the time it is asked
about; only `server` opens a socket. Nothing in here is imported by the path of a price.
"""
