"""The simulated market, with its truth."""
