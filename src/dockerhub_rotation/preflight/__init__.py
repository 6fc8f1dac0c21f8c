"""Preflight: measures at Docker Hub itself what the function assumes of it. No rotation needs it.

The requests are those of the function's own client, so what is measured is what ships. It makes one token, which it
deletes whatever happens.
"""
