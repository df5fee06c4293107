"""Deploys and operates one server with only Python 3.9 and Docker: `python3 -m ops --help`."""
