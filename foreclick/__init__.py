"""What a person types: the command line, its settings, embedded services and the demo."""
