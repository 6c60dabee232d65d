"""How a verdict is reached outside the student's process; part of what is copied into the sandbox.

values, rebuilt and wire: what travels between the two processes, and how; remote, handles and gradients: the
examiner's side of it, where the student's names are handles; answers and claims: the student's side; examiner: the loop
of the process in which the test cells run.
"""
