"""Training runs as folders of plain files, each made by a process of its own."""
