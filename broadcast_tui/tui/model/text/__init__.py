"""Text analysis: wrapping, markup, links, mentions and colors."""
