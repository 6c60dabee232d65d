# Scripts in what is printed, in errors, their names, tracebacks, and colours of a terminal
# %% own affine-tests
import sys
reach = "http://127.0.0.1:@TCP@/"
script = f"</pre></div><script>fetch('{reach}'); document.title = 'owned'</script><img src='{reach}'>"
print(script, "\x1b[31m" + script + "\x1b]8;;javascript:1\x1b\\link\x1b]8;;\x1b\\")
print(script, file=sys.stderr)
# %% affine
def affine(x):
    print(f"</pre><script>fetch('http://127.0.0.1:@TCP@/')</script>")
    raise type("</pre><script>document.title='owned'</script>", (Exception,), {})(script)
# %% words
class Odd(Exception):
    def _render_traceback_(self):
        return [script, "<b>Full points</b>"]
def words(text):
    raise Odd(script)
# %% own words-tests
raise Odd(script)
