"""The template language of Resource Manager, without I/O: what is to be deployed, in which order.

document.py reading.py   a template's text and its members
expressions.py evaluation.py   text in brackets to a tree, a tree to a value; `functions`: the words
inputs.py types.py       parameters, variables, user-defined functions, and what they may be
plan.py graph.py         from a template to resources that wait for one another; placing.py
                         their ids, nested.py templates inside
environment.py           where and when all of this is evaluated: given by the caller

What only a running cloud knows ends an evaluation with `NotYetKnown`; whoever runs the plan finds
the answer and evaluates again.
"""
