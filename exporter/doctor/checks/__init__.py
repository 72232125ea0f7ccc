"""What good answers say about the account and about what the API's documentation leaves open.

A check is a function of what is known of a target; it returns a finding, or None where it has nothing to say. Its
finding carries its name. A new one is a function here and a place in `examination.CHECKS`.
"""
