"""The neutral core: records, times, audio, storage, splits, and what people said. Knows no server, no torch."""
