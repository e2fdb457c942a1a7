"""What turns prose, notebooks and results into the book."""
