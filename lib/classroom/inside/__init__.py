"""What runs inside the sandbox: the warm template, the child that isolates itself, the shell that runs cells.

Imports nothing of `classroom` outside of this package: only it and `deeppractice` are copied into the sandbox.
"""
