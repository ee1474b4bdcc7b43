"""Who may ask the public API for how much: keys, tiers, limits, metering, abuse. Pure: told the time."""
