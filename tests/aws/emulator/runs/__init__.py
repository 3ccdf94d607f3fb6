"""Run Command of Systems Manager: the scripts of documents are really run, as processes of this machine.

documents.py checks parameters and puts them in, run.py is one command on one instance, api.py answers.
"""


def apply():
    from . import api  # noqa: F401  (patches when imported)
