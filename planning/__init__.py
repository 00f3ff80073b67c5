"""Which sessions next: the plan of a round, and what its coordinator wants to know."""
