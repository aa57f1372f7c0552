"""Slash commands: table, parser and handlers."""
