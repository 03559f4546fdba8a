"""Schemas of responses, for the API description and the tests. They serialise nothing: the database builds the JSON of
frequent reads.
"""
