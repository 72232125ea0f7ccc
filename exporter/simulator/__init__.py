"""The API's other side: a server that verifies, limits, fails on demand, and answers with made-up traffic."""
