"""Agents that act for distribution system operators."""
