"""The V3 signature, against the published vectors and against the official SDK."""

import pytest
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_util.client import Client as Util
from darabonba.core import DaraRequest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail import signing
