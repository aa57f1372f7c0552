"""The wire protocol: frames, their encoding, and the handshake."""
