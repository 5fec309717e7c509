"""All that makes events: the contract, log readers, the simulator, replay, and the HTTP collector."""
