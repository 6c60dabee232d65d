# Scripts in outputs of other types: SVG, JavaScript, LaTeX, Markdown, JSON, PDF, widgets, Vega
# %% own affine-tests
from IPython.display import display
reach = "http://127.0.0.1:@TCP@/"
script = f"fetch('{reach}'); document.title = 'owned'"
for kind, data in {
    "image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{script}\"><script>{script}</script><image href='{reach}'/></svg>",
    "application/javascript": script,
    "text/latex": f"$\\href{{javascript:{script}}}{{x}} \\includegraphics{{{reach}}}$<script>{script}</script>",
    "text/markdown": f"<script>{script}</script> ![x]({reach}) [y](javascript:document.title='owned')",
    "application/json": {"a": f"</script><script>{script}</script>"},
    "application/vnd.jupyter.widget-view+json": {"model_id": f"'><script>{script}</script>"},
    "application/vnd.vegalite.v5+json": {"data": {"url": reach}},
    "image/png": f"x\" onerror=\"{script}",
    "text/plain": f"</pre><script>{script}</script>",
}.items():
    display({kind: data}, raw=True)
