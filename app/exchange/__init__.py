"""Everything stored as lines of a file: the forms of such files, and another installation as a source of them."""
