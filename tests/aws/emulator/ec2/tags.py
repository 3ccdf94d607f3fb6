"""Tags: keys that begin with aws: are AWS's."""

from moto.ec2.responses._base_response import EC2BaseResponse
from moto.ec2.responses.tags import TagResponse

from ..patch import replaces
from .refusals import refuse


def check(response, keys):
    ours = "emulator-cloudformation" in response.headers.get("User-Agent", "")
    if not ours and any(key.lower().startswith("aws:") for key in keys):
        refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")


@replaces(TagResponse)
def create_tags(former, self):
    check(self, [tag["Key"] for tag in self._get_param("Tags", [])])
    return former(self)


@replaces(EC2BaseResponse)
def _parse_tag_specification(former, self, *arguments, **more):
    parsed = former(self, *arguments, **more)
    check(self, [key for tags in parsed.values() for key in tags])
    return parsed
