"""Parts of pages that are too long for one file; `views/` holds pages only."""
