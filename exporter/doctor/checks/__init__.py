"""Checks of good responses: on the account, and on what the API's documentation leaves open.

A check is a function of a target's evidence; it returns a finding, or None without one. Its
finding carries its name. A new one is a function here and a place in `examination.CHECKS`.
"""
