"""The statistics that can be requested about a combination: each a row of data, one module each.

`statistic` is the form of a row, `registry` lists them. A row has the operation, its filters, its counts and their
fields in a response; all other code iterates over the list.
"""
