"""Whom to contact, with what: labels of customers, actions, priorities."""
