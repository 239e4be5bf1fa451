"""The Service Bus administration API: Atom documents over HTTPS on the namespace's own host."""
