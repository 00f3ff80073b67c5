"""Detections against what people found: tables and reviewed sessions in, scores and a picture out."""
