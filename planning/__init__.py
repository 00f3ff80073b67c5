"""Which sessions people hear next, and what the sea holds: pools, the mix of a round, missed calls, estimates."""
