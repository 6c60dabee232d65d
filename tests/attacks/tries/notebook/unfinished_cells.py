# An answer that swallows the next cell: an open bracket, a string, a here-document, marks of nbgrader's
# %% affine
### BEGIN HIDDEN TESTS
def affine(x):
    return """
### END SOLUTION
# %% words
### END HIDDEN TESTS
if True: (
# %% digits
%%bash
cat <<END
