"""A sweep's report.

content.py            the sections, in order
tables.py             its tables, and a sweep's rows as CSV
paper.py              the paper's tables, and the cell that corresponds to each of its models
paper_comparison.py   our numbers and the paper's
document.py           blocks of text, and how Markdown, HTML and LaTeX write them
"""
