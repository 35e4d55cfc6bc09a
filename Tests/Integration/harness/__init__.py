"""What the scenarios stand on: the daemon under test, servers, clients and ways of looking inside.

Nothing here knows a scenario, and no scenario starts a process or opens a port but through here.
"""
