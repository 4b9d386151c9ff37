"""Machines that are not there: the real engine and the real program, and provider processes that only say that it is done."""
