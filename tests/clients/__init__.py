"""Software that nobody here wrote, run unmodified against the sandbox."""
