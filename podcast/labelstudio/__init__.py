"""Label Studio: what its JSON means (labels, tasks, checks, sessions: pure) and a thin client over its SDK (client, sync)."""
