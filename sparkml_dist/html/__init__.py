"""HTML from templates: pages, and what objects show of themselves in notebooks."""
