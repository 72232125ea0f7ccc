-- A state file as the schema 5 had it: the same tables as today, and no statistic but engagement.
PRAGMA application_id = 1684891000;
CREATE TABLE migration (number INTEGER PRIMARY KEY, applied_at REAL NOT NULL);
INSERT INTO migration VALUES (1, 0.0), (2, 0.0), (3, 0.0), (4, 0.0), (5, 0.0);
CREATE TABLE entry (
    kind TEXT NOT NULL, key TEXT NOT NULL, crc INTEGER NOT NULL, body TEXT NOT NULL, UNIQUE (kind, key)
);
INSERT INTO entry VALUES ('discovered', '["shop","tag_name"]', 244143844, '[["z",1000.0],["a",1000.5]]');
INSERT INTO entry VALUES ('account', '["shop"]', 2584953156, '"us-east-1 UTC"');
INSERT INTO entry VALUES ('decreases', '["shop"]', 2694871747, '1');
INSERT INTO entry VALUES ('record', '["shop","engagement",{"account_name":"a@example.com","esp":"gmail.com"}]', 3398890590, '{"first_read_at":1000.0,"last_success_at":1400.0,"counted":[11,11,6,0,0],"cells":[["2026-04-22",1300.0,[110,60,45,9,5],[110,60,45,10,5],[1.5,null,0.0,3.25]],["2026-04-23",1400.0,[1,1,1,0,0],null,null]]}');
INSERT INTO entry VALUES ('record', '["shop","engagement",{}]', 2995057261, '{"first_read_at":1500.0,"last_success_at":null,"counted":[0,0,0,0,0],"cells":[["2026-04-22",1500.0,[5,4,3,2,1],null,null]]}');
INSERT INTO entry VALUES ('seal', '', 3427840412, '5 11917916598');
