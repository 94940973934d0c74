"""From a table to a figure: one file a page's charts."""
