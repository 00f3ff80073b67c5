"""The old Pod.Cast: its account both ways, without overwriting what anybody said."""
