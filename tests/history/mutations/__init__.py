"""Servers that break one guarantee on purpose: what the checker must find.

Each module is a settings module and, as an app that is loaded last, the change of the server's code.
"""
