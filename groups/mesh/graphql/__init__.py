"""Classrooms for clients of AWS AppSync: GraphQL over HTTP, and subscriptions over its WebSocket dialect."""
