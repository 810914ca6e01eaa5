"""What `scripts/mutants` is made of: docs/decisions/0041-mutants-by-name.md says why."""
