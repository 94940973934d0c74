"""Stand-alone documents: HTML and Markdown made from tables."""
