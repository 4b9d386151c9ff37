"""The commands behind `python -m nova_infra`, a file each, and how they read a stack."""
