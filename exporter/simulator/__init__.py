"""Simulates the API: a server that verifies signatures, limits calls, fails on demand and returns simulated mail.

In come HTTP requests; out go responses in the API's wire format. Of the other packages it uses
only the signature, the clock, and how a server ends its requests.
"""
