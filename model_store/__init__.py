"""All that makes, keeps and loads a model: encoding, training, evaluation, artifacts and stepping."""
