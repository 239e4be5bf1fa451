"""Azure Resource Graph: what the Resource Manager holds, as tables that are asked in KQL.

tables.py      the rows of each table, as far as a caller may read them
query.py       KQL over them, by the engine that answers for the logs

Requests and answers are those of `providers/resource_graph.py`.
"""
