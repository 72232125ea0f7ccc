"""Direct Mail's endpoints in each region."""

from typing import NamedTuple


class Region(NamedTuple):
    """The hosts of a region."""

    public: str
    vpc: str


REGIONS = {
    "cn-hangzhou": Region("dm.aliyuncs.com", "dm-vpc.cn-hangzhou.aliyuncs.com"),
    **{
        region: Region(f"dm.{region}.aliyuncs.com", f"dm-vpc.{region}.aliyuncs.com")
        for region in ("ap-southeast-1", "ap-southeast-2", "us-east-1", "eu-central-1")
    },
}
"""Direct Mail's endpoints by region (its documentation)."""
