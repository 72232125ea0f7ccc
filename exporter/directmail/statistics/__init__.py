"""The statistics that can be requested about a combination: each a row of data, one module each.

`statistic` is the form of a row, `registry` lists them. A row says which operation answers, which filters it knows,
what it counts and where in an answer the counts are; everything else goes over the list and names none.
"""
