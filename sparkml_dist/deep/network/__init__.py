"""The network itself: who builds it, what it takes and gives, whether it can be trained."""
