"""Payloads of incoming webhooks as posts in Markdown: those of Slack and of Alertmanager."""
