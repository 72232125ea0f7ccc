"""What is requested of a target, by subject.

A step makes one or more requests and keeps the responses for the checks. A new one is a function here and a place in
`examination.STEPS`.
"""
