"""Client tokens of EC2: a call that is made again with the same token gets the former answer.

https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html
"""

ACTIONS = {"RunInstances", "CreateVolume", "CreateNetworkInterface", "CopyImage", "CreateVpc"}
# CreateSnapshot, CreateSnapshots and CopySnapshot know no token: a call that is made again makes another snapshot.

MISMATCH = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>IdempotentParameterMismatch</Code>'
    "<Message>Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
    "</Message></Error></Errors><RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>"
)


class Tokens:
    """Answers by account, region, action and token. Used under the lock of EC2."""

    def __init__(self):
        self._kept = {}

    @staticmethod
    def key(call):
        token = call.parameters.get("ClientToken")
        if call.service != "ec2" or call.action not in ACTIONS or not token or call.parameters.get("DryRun") == "true":
            return None
        return (call.account, call.region, call.action, token)

    def answered(self, call):
        """The answer (status, headers, body) for a call whose token is known; None for a new one."""
        kept = self._kept.get(self.key(call))
        if kept is None:
            return None
        parameters, answer = kept
        if parameters != call.parameters:
            return "400 Bad Request", [("Content-Type", "text/xml")], MISMATCH.encode()
        return answer

    def keep(self, call, answer):
        if self.key(call) is not None and answer[0].startswith("200"):
            self._kept[self.key(call)] = (call.parameters, answer)
