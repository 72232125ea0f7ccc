"""How wide a panel's title is, and how much room it has, in pixels.

Grafana sets titles in Inter Medium (500) at 14 px without kerning worth a pixel. Around a title are 8 px at the left,
24 of the description's mark and 32 that the menu keeps. The grid has 24 columns, 16 px beside it and 8 between panels.
Tried on pictures of Grafana 11.1: a title of 312 px is 312 px wide there, and one of 127 px is cut at 125.
"""

UNITS_PER_EM, SIZE = 2048, 14
ADVANCES = (
    *(546, 623, 1012, 1308, 1323, 2034, 1338, 641, 755, 755, 1066, 1367, 621, 947, 621, 757),
    *(1322, 850, 1262, 1284, 1344, 1235, 1290, 1170, 1289, 1290, 621, 646, 1367, 1367, 1367, 1080),
    *(2012, 1452, 1345, 1502, 1478, 1235, 1207, 1531, 1525, 558, 1178, 1408, 1158, 1869, 1549, 1570),
    *(1314, 1574, 1327, 1323, 1337, 1516, 1452, 2054, 1435, 1426, 1312, 755, 757, 755, 976, 948),
    *(690, 1163, 1266, 1182, 1266, 1203, 777, 1269, 1232, 516, 516, 1145, 516, 1819, 1232, 1237),
    *(1266, 1266, 792, 1103, 697, 1232, 1177, 1698, 1141, 1178, 1145, 902, 708, 902, 1367),
)
"""Of the characters from the blank to the tilde, in the font's units."""
COLUMNS, MARGIN, GAP, AROUND = 24, 16, 8, 64


def text_width(text: str) -> float:
    """Return the width of a title."""
    return sum(ADVANCES[ord(character) - ord(" ")] for character in text) / UNITS_PER_EM * SIZE


def room(columns: int, page: int) -> float:
    """Return the room for the title of a panel so many columns wide, on a page so many pixels wide."""
    column = (page - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS
    return column * columns + GAP * (columns - 1) - AROUND
