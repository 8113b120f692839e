"""One file a step. Never change one that was released: add another."""
