"""Rewriting rules, grouped by what they rewrite; each takes its data from a backend."""
