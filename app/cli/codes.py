"""The exit codes of the commands that ask the API, for their help."""

_REST = """
  2    wrong usage or settings, or refused; trying again does not help
  3    the database or the service is unavailable; trying again may help
  70   a bug in postroom
  130  interrupted, or answered with no"""

CODES = f"""
\b
Exit codes:
  0    done{_REST}"""

#: Of commands that do the same for several.
EACH = f"""
\b
Exit codes:
  0    done
  1    of several, some failed; each line says why{_REST}"""
