"""The release and the care of one server, with nothing but Python 3.9 and Docker: `python3 -m ops --help`.

A command is built in `commands`, as text, and carried out in `runner`; every other module decides what comes when.
"""
