"""The loops that call the API: due cells from the schedule, through the client, into the store.

In come plans; out go totals and failures to the store, and values of discovered filters.
"""
