"""KQL to SQL by duckdb-kql, with what it lacks written with what it has.

translate.py   the whole way: a query in, SQL and what it needs out
syntax.py      a query's text, and what is wrong with it in words
semantics.py   whether the tables and columns that it names exist

Before duckdb-kql reads it, as text:

text.py        operators; search.py nested.py pairs.py tuples.py those that take a module each
calls.py literals.py   calls, names, statements, strings; tokens.py how all of them read the text
elsewhere.py   tables of other workspaces and resources
plugins.py     `evaluate`, where the columns depend on the rows

When the columns are known, as a tree, and last as SQL:

tree.py        the nodes of a tree
nodes.py       the walk through it, with the columns that each operator is given
patterns.py    columns by a pattern, by `*`, or all of them
forms.py       calls in the form that their arguments ask for
binary.py keys.py   two values compared or divided; what rows are sorted and grouped by
summaries.py   aggregates of times, and of lists as texts
unions.py      what is put together: a column for each type, no string that is null
groups.py windows.py   pipelines for each part of the rows; functions that read other rows
index.py       `bag[name]` where the name is a column
functions/     functions that duckdb-kql has no SQL for
"""
