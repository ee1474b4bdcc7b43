"""Measuring estimators: markets to replay, opponents to meet, the protocol's own scoring, and the arena."""
