"""Mixtures taken apart: a signal, and what contaminates it, of which only samples are known."""
