"""Detectors served to Label Studio: Flask views, audio by task address, answers cached by audio content and model version."""
