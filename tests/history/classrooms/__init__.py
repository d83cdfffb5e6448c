"""Classrooms in the history: members over GraphQL's socket, by its polls and over our own doors, and what they saw."""
