"""Where rooms' logs are kept and ordered. Every engine keeps the contract of `engine.base`."""
