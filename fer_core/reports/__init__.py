"""Documents that stand alone: HTML and Markdown made from tables."""
