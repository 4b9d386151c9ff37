"""What stands in the way of `up`, found before anything is touched: a file a subject, questions and decisions apart."""
