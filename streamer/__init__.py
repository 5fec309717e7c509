"""The live path: events from Kafka, windows in Redis, scores, predictions back to Kafka."""
