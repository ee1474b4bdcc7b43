"""Which leg does not behave as usual and as the others do: features, detectors, verdicts, a trial."""
