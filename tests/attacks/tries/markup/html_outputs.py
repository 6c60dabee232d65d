# Outputs with scripts, forms, handlers, frames and styles
# %% own affine-tests
from IPython.display import HTML, display
reach = "http://127.0.0.1:@TCP@/"
for text in (
    f"<script>fetch('{reach}'); document.title = 'owned'</script>",
    f"<img src='{reach}' onerror=\"document.title='owned'\">",
    f"<svg onload=\"fetch('{reach}')\"></svg><body onload=\"document.title='owned'\">",
    f"<iframe src='{reach}'></iframe><object data='{reach}'></object><embed src='{reach}'>",
    f"<form action='{reach}'><input autofocus onfocus=\"document.title='owned'\"></form>",
    f"<link rel=stylesheet href='{reach}'><style>@import url({reach}); body {{ display: none }}</style>",
    f"<meta http-equiv=refresh content='0;url={reach}'><base href='{reach}'>",
    f"<details open ontoggle=\"document.title='owned'\">x</details><a href=\"javascript:document.title='owned'\">y</a>",
    "<div style='position:fixed;inset:0;background:url(%s)'>Full points</div>" % reach,
):
    display(HTML(text))
