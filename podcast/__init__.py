"""The neutral core: records, times, audio, storage, vocabulary, splits, and what people said. Knows no server, no torch."""
