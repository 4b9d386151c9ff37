"""What `pulumi preview --json` says, read for people: what is dangerous, what changes, what restarts, and all of it as Markdown."""
