"""What is chosen or weighted by rows that members did not see."""
