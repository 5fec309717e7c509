"""One module a command; `foreclick.cli` imports only the one that is asked for."""
