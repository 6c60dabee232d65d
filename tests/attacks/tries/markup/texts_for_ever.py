# Texts and outputs each of which is shown in seconds, and all of them in hours
# %% own affine-tests
from IPython.display import HTML, Markdown, display
for _ in range(3):
    display(Markdown("\\\\(" * 6000 + "<"))
for _ in range(4):
    display(Markdown("# a\n" * 2500 + "<"))
# %% own square-tests
display(HTML("&" * 90_000))
# %% own twice-tests
display(Markdown("```a\n```\n" * 5000 + "<"), Markdown("a\n=\n" * 10_000 + "<"))
