"""Cleaning: one declared pipeline, fitted on the training part, applied to a log and to live events alike."""
