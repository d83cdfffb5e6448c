"""The classroom system: groups of nodes that share values and events. Its models, methods and admin pages stand with
the others of `groups`; the wire protocol that shipped clients speak is in `graphql`.
"""
