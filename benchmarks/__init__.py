"""`make bench`: how fast the product is, beside what else does the same work."""
