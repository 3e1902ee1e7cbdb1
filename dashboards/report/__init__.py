"""A sweep's report.

content.py            the sections, in order
tables.py             its tables, and a sweep's rows as CSV
paper.py              what the paper prints, and which cell stands for which of its models
paper_comparison.py   our numbers and the paper's
document.py           blocks of text, and how Markdown, HTML and LaTeX write them
"""
