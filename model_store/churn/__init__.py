"""Churn: what the hazard head is corrected by, at which moments it is asked, and what it must beat."""
