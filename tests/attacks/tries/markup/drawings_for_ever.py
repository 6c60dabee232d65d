# Drawings, tables and pictures that a browser draws for ever
# %% own affine-tests
import io
from base64 import b64encode
from IPython.display import HTML, SVG, Markdown, display
spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="300" height="300"'
for show in ('<use xlink:href="#a{}"/>', '<rect width="9" height="9" mask="url(#a{})"/>', '<rect width="9" height="9" fill="url(#a{})"/>'):
    kind = "g" if "use" in show else "mask" if "mask" in show else "pattern"
    levels = "".join(f'<{kind} id="a{n + 1}">{show.format(n) * 10}</{kind}>' for n in range(10))
    svg = f'<svg {spaces}><defs><{kind} id="a0"><circle r="40"/></{kind}>{levels}</defs>{show.format(10)}</svg>'
    display(HTML(svg), SVG(svg))
    address = "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
    display(HTML(f'<img src="{address}">'), Markdown(f"![x]({address})"))
display(HTML("<table>" + ("<tr>" + "<td colspan=1000 rowspan=9999>x</td>" * 10 + "</tr>") * 80 + "</table>"))
try:
    from PIL import Image
    made = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(made, "AVIF")
    display({"image/png": b64encode(made.getvalue()).decode()}, raw=True)
except Exception as error:
    print(type(error).__name__)
