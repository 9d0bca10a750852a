"""The kinds of servers that the portal asks, each of which is a `federation.server.Server`."""
