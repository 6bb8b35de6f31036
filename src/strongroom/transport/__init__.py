"""The attested channel over HTTP: an ASGI middleware for any service, a transport for any httpx2 client."""
