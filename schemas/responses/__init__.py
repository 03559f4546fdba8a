"""What goes out. The schemas describe responses, and tests hold the responses against them. Nothing is dumped by them,
because the hot reads come out of the database as JSON.
"""
