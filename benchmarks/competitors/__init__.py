"""What foreclick is measured against. Each program here runs in its competitor's own virtual environment."""
