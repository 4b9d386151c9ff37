"""One file a resource: arguments, what it does when the engine asks (check, diff, create, read, update, delete), the resource."""
