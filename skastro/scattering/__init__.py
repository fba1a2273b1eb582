"""Scattering statistics: a few hundred numbers that describe the structure of a field."""

__all__ = []
