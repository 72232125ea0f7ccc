"""The API's other side: an HTTP server that verifies, limits, fails on demand, and answers with made-up mail traffic."""
