# Texts that take a page's reader, or its search for links, for ever
# %% own affine-tests
from IPython.display import HTML, Markdown, display
display(HTML("<div>" * 20_000))
display(Markdown("[a](" * 10_000))
print("\x1b[" * 20_000)
