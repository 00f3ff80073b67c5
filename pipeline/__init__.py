"""Archive to sessions to detections: stages that an engine maps over items, on this machine's cores or on Ray."""
