"""The `nexusql` command; the extra `[cli]` brings what it needs."""
