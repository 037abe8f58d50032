"""Members of any kind that vote, and weights of the vote learnt from rows that they did not see."""
