"""The shapes of requests and answers, for OpenAPI and for the bodies that are read.

Answers of the price path are joined from bytes and do not pass through these models; the tests hold them to
these shapes.
"""
