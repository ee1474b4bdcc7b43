"""Which leg does not behave as it does, and as the others do: features, detectors, verdicts and their trial."""
