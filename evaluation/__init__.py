"""Detections against what people found, and people against each other: tables and sessions in, scores and a picture out."""
