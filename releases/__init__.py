"""Dataset releases: what rounds are worth to a stranger. `build` makes one, `lint` checks one, `diff` compares two."""
