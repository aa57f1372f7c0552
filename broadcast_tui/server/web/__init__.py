"""HTTP on the server's port: every connection that does not ask for a WebSocket.

aiohttp parses requests and writes responses. It is imported here only, when a server starts.
"""
