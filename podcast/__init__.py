"""The neutral core: records, times, audio, storage and Label Studio's JSON. Knows no HTTP server and no torch."""
