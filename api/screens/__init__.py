"""Screens for people: pages made by the service from what its own operations answer."""
