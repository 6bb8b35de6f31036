"""The command line, and the only place where everything is put together: arguments, wiring, exit code.

What goes where: results to standard output; progress, warnings and errors to standard error, each line beginning
with ``strongroom:``, no capital letter and no full stop. Colours only on a terminal. Secrets come from a prompt, a
file or standard input, never from an argument, and go to standard output only when somebody asked for one.
"""
