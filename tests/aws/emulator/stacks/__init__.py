"""CloudFormation, in the place of moto's: it calls the other services over their API, as the real one does.

template.py reads, intrinsics.py resolves, resources/ makes and unmakes, operation.py runs an operation of a stack with
its events and its rollback, changes.py tells what a change set would do, drift.py compares, api.py answers.
"""


def apply():
    from moto.cloudformation import urls

    from .api import Api

    urls.url_paths["{0}/$"] = Api.dispatch
