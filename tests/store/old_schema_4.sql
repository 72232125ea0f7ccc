-- A state file as the schema 4 had it, with one row of each kind. Schemas 1 to 3 lack its last statements.
CREATE TABLE migration (number INTEGER PRIMARY KEY, applied_at REAL NOT NULL);
INSERT INTO migration VALUES (1, 0.0);
CREATE TABLE combination (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL, account_name TEXT NOT NULL, tag_name TEXT NOT NULL, esp TEXT NOT NULL, dedicated_ip TEXT NOT NULL, dedicated_ip_pool_id TEXT NOT NULL, config_set_id TEXT NOT NULL,
    first_read_at REAL, last_success_at REAL,
    emails INTEGER NOT NULL, opens INTEGER NOT NULL, unique_opens INTEGER NOT NULL, clicks INTEGER NOT NULL, unique_clicks INTEGER NOT NULL,
    UNIQUE (target, account_name, tag_name, esp, dedicated_ip, dedicated_ip_pool_id, config_set_id)
);
CREATE TABLE cell (
    combination INTEGER NOT NULL REFERENCES combination (id) ON DELETE CASCADE,
    day TEXT NOT NULL, read_at REAL NOT NULL,
    emails INTEGER NOT NULL, opens INTEGER NOT NULL, unique_opens INTEGER NOT NULL, clicks INTEGER NOT NULL, unique_clicks INTEGER NOT NULL,
    open_rate REAL, unique_open_rate REAL, click_rate REAL, unique_click_rate REAL,
    has_rates INTEGER NOT NULL,
    PRIMARY KEY (combination, day)
) WITHOUT ROWID;
CREATE TABLE decreases (target TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO combination VALUES (1, 'shop', 'a@example.com', '', 'gmail.com', '', '', '', 1000.0, 1400.0, 11, 11, 6, 0, 0);
INSERT INTO combination VALUES (2, 'shop', '', '', '', '', '', '', 1500.0, NULL, 0, 0, 0, 0, 0);
INSERT INTO cell VALUES (1, '2026-04-22', 1300.0, 110, 60, 45, 9, 5, 1.5, NULL, 0.0, 3.25, 1);
INSERT INTO cell VALUES (1, '2026-04-23', 1400.0, 1, 1, 1, 0, 0, NULL, NULL, NULL, NULL, 0);
INSERT INTO cell VALUES (2, '2026-04-22', 1500.0, 5, 4, 3, 2, 1, NULL, NULL, NULL, NULL, 0);
INSERT INTO decreases VALUES ('shop', 1);
-- 2
CREATE INDEX cell_day ON cell (day);
INSERT INTO migration VALUES (2, 0.0);
-- 3
CREATE TABLE discovered (
    target TEXT NOT NULL, filter TEXT NOT NULL, place INTEGER NOT NULL,
    value TEXT NOT NULL, first_seen REAL NOT NULL,
    PRIMARY KEY (target, filter, place)
) WITHOUT ROWID;
INSERT INTO discovered VALUES ('shop', 'tag_name', 0, 'z', 1000.0);
INSERT INTO discovered VALUES ('shop', 'tag_name', 1, 'a', 1000.5);
INSERT INTO migration VALUES (3, 0.0);
-- 4
CREATE TABLE account (target TEXT PRIMARY KEY, account TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO account VALUES ('shop', 'us-east-1 UTC');
INSERT INTO migration VALUES (4, 0.0);
