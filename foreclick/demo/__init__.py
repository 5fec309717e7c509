"""The demo: a shop's log through a real Kafka, Redis and worker, with every record accounted for."""
