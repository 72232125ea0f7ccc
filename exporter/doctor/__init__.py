"""`doctor`: a few real calls for each target, and what is wrong in plain words with the mend.

wire listens to the requests, examination asks, failures and checks tell what it means, report prints it.
"""
