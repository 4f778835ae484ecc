"""The rows: one table a file, their states, transition tables, named queries and migrations."""
