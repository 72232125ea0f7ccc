"""Replaces whatever is not known to be safe by a replacement of the same shape.

What is kept is listed here: fields whose values mean nothing outside the API, numbers of fields that are known to hold
numbers, and texts that have only words of the API. So a field or a word that appears tomorrow is replaced, not leaked.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv6Address, ip_address
from itertools import zip_longest
from typing import Any

from exporter.config.queries import ESPS
from exporter.directmail import account
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.responses import number
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Statistic

WEEKS = range(26, 260)
"""By how much dates may be shifted back: whole weeks, so that weekdays stay."""
FACTORS = (Decimal("1.3"), Decimal(9))
"""Between which counts may be scaled; above 1, so that no count becomes 0."""
_ESPS = {*ESPS, "Others"}
_COUNTS = {
    *(name for statistic in STATISTICS.values() for name in statistic.fields),
    *account.USAGE,
    *("DailyCount", "MonthCount", "DailyQuota", "MonthQuota", "DailyRemainFreeQuota", "RemainFreeQuota"),
}
"""Fields that count mails."""
_RATES: dict[str, tuple[Statistic, int] | None] = {
    **{rate.field: (each, place) for each in STATISTICS.values() for place, rate in enumerate(each.rates.values())},
    "succeededPercent": None,
    "unavailablePercent": None,
}
"""Fields that are shares, with what they are a share of where that is known."""
_NUMBERS = {
    *("PageNo", "PageNumber", "PageIndex", "PageSize", "TotalPages", "IpCount", "UserStatus", "QuotaLevel"),
    *("MaxQuotaLevel", "EnableTimes", "Domains", "MailAddresses", "Tags", "Templates", "AccountStatus", "DomainStatus"),
    *("ReplyStatus", "IcpStatus", "CnameConfirmStatus", "DkimRsaLength", "DomainVersion", "DefaultDomain", "Status"),
    *(statistic.total for statistic in STATISTICS.values()),
    *(name for each in OPERATIONS.values() for name in (each.page, each.number, each.total)),
    *account.LISTED_CHECKS.values(),
    *account.DESCRIBED_CHECKS.values(),
}
"""Fields that hold small numbers: pages, sizes, states."""
_TIMES = {"StartTime", "EndTime", "CreateTime", "UtcCreateTime"}
_WORDS = {
    *("Code", "Message", "Success", "Sendtype", "IpChannelType", "WarmupStatus", "WarmupType", "AuthAction"),
    *("AuthPrincipalType", "NoPermissionType", "PolicyType"),
}
"""Fields that hold words of the API."""
_STATUSES = frozenset(map(str, range(100, 600)))
"""HTTP's, which some responses have as their Code."""
_WORDS_OF_THE_API = """
a access account action address addresses administrator all allow allowed and api are as at auth authorized auto
available backoff bad ban batch be been between blacklisted by can cannot change changed channel check click client
cname code config confirm connection contact control count counts create created current daily data date day days dayu
dedicated default denied deny desc description detail dkim dm dmarc dns does domain domains due duration empty enable
enabled end error esp exceed exceeded exceeds exist exists expired ext faild failed failure field flow for forbidden
format found free from gateway get has header host icp id identity if illegal implicit in incomplete incorrect index
insecure instance internal interval invalid ip ips is key keyword last length less level limit list long longer mail
mailaddress malformed match max may message method mismatch mismatches missing month more much must mx name no nonce
normal not number of offset ok on only open operation option or out owner page pages pagesize param parameter parameters
percent period permission please policy pool pools principal processing product protocol public query quota ram range
rate rcpt real receivers recommend record records region register remain renewal reply req request requested requests
require required resource resources response rest retry reused root rr rsa same secret security send sender sendtype
service set sets sign signature size sms some span specified spf ssl stamp start stat statistics status strategy
string sub subuser succeeded success support supported system tag tags templates temporary than that the this
throttling time timeout times timestamp tl to token too total tracef track trigger try txt type unavailable unique
unknown unsupported up use used user utc v valid validation value values verification version violation wait warm
warming warmup was with within wrong you your zone
1 2 7 10 15 30 31 50 60 90 100 200 1000
"""
_VOCABULARY = frozenset(_WORDS_OF_THE_API.split())
"""Words, in lower case, of the names, error codes and messages in the API's documentation and its official SDK."""
_HAS_WORDS = re.compile(r"\d+|[A-Za-z]+(?:[.:_-][A-Za-z]+)*[12]?", re.ASCII)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_DAY = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)
_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,12})?)(\s*%)?", re.ASCII)
_UNIT = re.compile(r"""[^\s@.:/,;=&?"'<>()\[\]{}]+""")
_ALIKE: dict[str, str | range] = {
    "Lu": "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝ",
    "Ll": "àáâãäåæçèéêëìíîïðñòóôõöøùúûüý",
    "Lo": range(0x4E00, 0x9FA6),
}
"""What a character beyond ASCII becomes, by its category; symbols become one sign, marks and spaces stay."""
_TRIES = 50
"""Replacements of a length that are tried before a longer one is: one letter has only so many."""


class Sanitizer:
    """Gives equal values equal replacements; nothing that it gives leads back to its secret."""

    def __init__(self, secret: bytes, weeks: int, factor: Decimal = Decimal(1)) -> None:
        """Dates go back by so many weeks; counts are multiplied by the factor."""
        self._secret = secret
        self._shift = timedelta(weeks=weeks)
        self._factor = factor
        self._replacements: dict[str, str] = {}
        self._used: set[str] = set()

    @classmethod
    def random(cls, *, scaled: bool) -> "Sanitizer":
        """Return one with a secret of its own, and a secret factor where counts are to be scaled."""
        least, most = FACTORS
        factor = least + (most - least) * secrets.randbelow(10**6) / 10**6 if scaled else Decimal(1)
        return cls(secrets.token_bytes(32), secrets.choice(WEEKS), factor)

    def moment(self, at: float) -> str:
        """Return a moment, in seconds since the epoch, as ISO 8601 in UTC, shifted."""
        return (datetime.fromtimestamp(at, UTC) - self._shift).strftime("%Y-%m-%dT%H:%M:%SZ")

    def parameters(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Return what a request was sent with."""
        return {name: str(self._field(name, value, {})) for name, value in parameters.items()}

    def document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a JSON object."""
        made: dict[str, Any] = {}
        for name, value in document.items():
            made[name if _is_safe_name(name) else self.name(name)] = self._field(name, value, document)
        return made

    def words(self, text: str) -> str:
        """Return a text in which every word that is not the API's is replaced."""
        return re.sub(r"[^\s,;()\[\]\"'<>]+", lambda found: self._word(found[0]), text)

    def name(self, text: str) -> str:
        """Return the replacement of a name, an address or an id: of its length, case and signs."""
        try:
            return self._address(str(ip_address(text)))
        except ValueError:
            return _UNIT.sub(lambda found: self._unit(found[0], _made), text)

    def _field(self, name: str, value: Any, beside: Mapping[str, Any]) -> Any:
        if isinstance(value, Mapping):
            return self.document(value)
        if isinstance(value, list):
            return [self._field(name, each, beside) for each in value]
        if value is None or isinstance(value, bool) or value in ("", -1, "-1"):
            return value
        if name in _RATES:
            return self._rate(name, value, beside)
        if name in _COUNTS:
            return self._count(value)
        if name in _TIMES:
            return self._time(value)
        if name in _WORDS and str(value) in _STATUSES:
            return value
        if name in _WORDS and isinstance(value, str):
            return self.words(value)
        is_safe = number(value) is not None if name in _NUMBERS else name == "Esp" and value in _ESPS
        return value if is_safe else self._other(value)

    def _other(self, value: Any) -> Any:
        """Return the replacement of a value that is not known to be safe."""
        if isinstance(value, str):
            return self.name(value)
        text = self.name(str(value))
        try:
            return type(value)(text)
        except ValueError:
            return text  # such as a number with an exponent

    def _count(self, value: Any) -> Any:
        found = number(value)
        if found is None:
            return self._other(value)
        if self._factor == 1:
            return value
        scaled = self._scaled(found)
        if isinstance(value, str):
            return f"{scaled:,}" if "," in value else str(scaled)
        return type(value)(scaled)

    def _scaled(self, count: int) -> int:
        return max(round(count * self._factor), 1) if count else 0

    def _rate(self, name: str, value: Any, row: Mapping[str, Any]) -> Any:
        """Return a rate, moved with the counts that are scaled, in the decimals that were sent."""
        found = _RATE.fullmatch(str(value).strip())
        if found is None:
            return self._other(value)
        if self._factor == 1 or (of := _RATES[name]) is None:
            return value
        statistic, place = of
        part, whole = (number(row.get(statistic.fields[each])) for each in (statistic.rate_of[place], 0))
        if not part or not whole:
            return value
        rate = Decimal(found[1])
        moved = rate * self._scaled(part) * whole / (self._scaled(whole) * part)
        text = f"{moved.quantize(rate):f}{found[2] or ''}"
        return text if isinstance(value, str) else type(value)(text)

    def _time(self, value: Any) -> Any:
        text = str(value)
        if text.isascii() and text.isdecimal() and len(text) in (10, 13):
            moved = int(text) - int(self._shift.total_seconds()) * (1000 if len(text) == 13 else 1)
            return type(value)(moved)
        try:
            day = date.fromisoformat(text[:10]) if _DAY.fullmatch(text) else None
            return self._other(value) if day is None else (day - self._shift).isoformat() + text[10:]
        except (ValueError, OverflowError):
            return self._other(value)

    def _word(self, token: str) -> str:
        word = token.strip(".:!?")
        return token if not word or _is_safe_name(word) else token.replace(word, self.name(word))

    def _address(self, text: str) -> str:
        return self._unit(text, _made_address)

    def _unit(self, text: str, made: Callable[[str, bytes], str]) -> str:
        """Return the replacement of a part of a name; upper and lower case are the same part."""
        lower = text.lower()
        if len(lower) != len(text):  # a few letters are longer in lower case
            return self._replacement(text, made)
        found = self._replacement(lower, made)
        return "".join(
            each.upper() if real.isupper() else each for real, each in zip_longest(text, found, fillvalue="")
        )

    def _replacement(self, text: str, made: Callable[[str, bytes], str]) -> str:
        if all(map(_is_kept, text)):
            return text
        attempt = 0
        while text not in self._replacements:
            longer = text + "x" * (attempt // _TRIES) if made is _made else text
            stream = hashlib.shake_256(self._secret + f"{attempt}/{text}".encode("utf-8", "surrogatepass"))
            found = made(longer, stream.digest(4 * len(longer)))
            attempt += 1
            if found not in self._used and found != text:
                self._used.add(found)
                self._replacements[text] = found
        return self._replacements[text]


def _is_safe_name(text: str) -> bool:
    """Return whether a text has only words of the API: `InvalidMailAddress.NotFound`, `dm:GetTrackList`."""
    return bool(_HAS_WORDS.fullmatch(text)) and all(word.lower() in _VOCABULARY for word in _WORD.findall(text))


def _is_kept(character: str) -> bool:
    """Return whether a character is a part of the shape: signs of ASCII, spaces, accents."""
    return not character.isalnum() if character.isascii() else unicodedata.category(character)[0] in "MZ"


def _made(text: str, stream: bytes) -> str:
    numbers = (int.from_bytes(stream[place : place + 4]) for place in range(0, len(stream), 4))
    return "".join(map(_alike, text, numbers))


def _alike(character: str, number: int) -> str:
    if _is_kept(character):
        return character
    if character.isascii():
        first, count = ("1", 9) if character.isdigit() else ("a", 26) if character.islower() else ("A", 26)
        return chr(ord(first) + number % count)
    choices = _ALIKE.get(unicodedata.category(character), "◆")
    chosen = choices[number % len(choices)]
    return chosen if isinstance(chosen, str) else chr(chosen)


def _made_address(text: str, stream: bytes) -> str:
    """Return another IP address whose parts are as long."""
    if isinstance(ip_address(text), IPv6Address):
        hexadecimal = "123456789abcdef"
        return "".join(
            hexadecimal[byte % 15] if sign.isalnum() else sign for sign, byte in zip(text, stream, strict=False)
        )
    bounds = {1: (1, 9), 2: (10, 99), 3: (100, 255)}
    parts = [(bounds[len(part)], stream[4 * place]) for place, part in enumerate(text.split("."))]
    return ".".join(str(least + byte % (most - least + 1)) for (least, most), byte in parts)
