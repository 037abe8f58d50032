"""Members of any kind that vote, with weights set or learnt from held-out rows."""
