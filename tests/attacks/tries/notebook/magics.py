# Magics that hide, time, debug or run elsewhere what follows
# %% affine
%%script bash
echo 6
# %% own affine-tests
%config InteractiveShell.ast_node_interactivity = "none"
%load_ext autoreload
%xmode Minimal
%pdb on
# %% own words-tests
%%capture --no-stderr captured
print("✓ all")
# %% words
%alias_magic assert time
%rehashx
def words(text):
    return {}
