"""How the machines and servers of a stack differ from its state: asked, compared, and shown to people."""
