"""What runs inside people's servers on a JupyterHub: formgrader over classroom, validation in words, the exchange."""
