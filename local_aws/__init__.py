"""A stand-in for AWS on this machine: moto's server, plus what moto lacks.

First principle: what it does not do truly it refuses, with a clear error, never with an empty success.
"""
