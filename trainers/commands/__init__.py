"""One file a group of commands; each registers itself on `trainers.console.app`."""
