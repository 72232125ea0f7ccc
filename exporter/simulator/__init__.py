"""The API's other side: a server that verifies signatures, limits calls, fails on demand and answers with made-up mail.

In come HTTP requests; out go answers in the API's wire format. Of the rest of the package it knows the signature only.
"""
